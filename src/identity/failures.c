#include "identity/failures.h"

#include "base/limits_use.h"
#include "base/mem.h"

#define SECOND INT64_C(1000000)
enum { ADDRESS_FACTOR = 10, KEY_MAX = 320 };

struct entry {
    int64_t  window_us, until_us, last_us;
    uint32_t count, wait_s;
    uint32_t len;
    uint8_t  key[];
};

void failures_init(struct failures *f, uint32_t per_minute)
{
    *f = (struct failures){ .per_minute = per_minute };
    (void)pthread_mutex_init(&f->lock, NULL);
}

void failures_clear(struct failures *f)
{
    size_t cursor = 0;
    for (struct entry *e; (e = table_next(&f->entries, &cursor));)
        mem_free(e);
    table_clear(&f->entries);
    (void)pthread_mutex_destroy(&f->lock);
}

/* Address, zero, name; a name that is too long to be a user's is cut: it is none. */
static struct bytes key_of(uint8_t out[KEY_MAX], struct bytes address, struct bytes name)
{
    size_t a = address.len < 64 ? address.len : 64, n = name.len < 200 ? name.len : 200;
    memcpy(out, address.at, a);
    out[a] = 0;
    if (n)
        memcpy(out + a + 1, name.at, n);
    return bytes_of(out, a + 1 + n);
}

static struct bytes address_key(uint8_t out[KEY_MAX], struct bytes address)
{
    struct bytes k = key_of(out, address, BYTES_NONE);
    return bytes_of(k.at, k.len - 1); /* no name is no name that is empty */
}

static bool over(const struct entry *e, int64_t now)
{
    int64_t calm_since = e->until_us > e->last_us ? e->until_us : e->last_us;
    return now - calm_since >= 60 * SECOND;
}

/* At most once a second: who comes when all is full must not make it dear for everybody. */
static void sweep(struct failures *f, int64_t now)
{
    size_t cursor = 0;
    if (f->swept_us && now - f->swept_us < SECOND)
        return;
    f->swept_us = now;
    for (struct entry *e; (e = table_next(&f->entries, &cursor));)
        if (over(e, now)) {
            (void)table_remove(&f->entries, bytes_of(e->key, e->len));
            mem_free(e);
        }
}

static struct entry *find_or_make(struct failures *f, struct bytes key, int64_t now)
{
    struct entry *e = table_get(&f->entries, key);
    if (e)
        return e;
    if (f->entries.count >= FAILURES_MAX)
        sweep(f, now);
    e = f->entries.count < FAILURES_MAX ? mem_zalloc(1, sizeof *e + key.len) : NULL;
    if (!e)
        return NULL;
    e->len = (uint32_t)key.len;
    e->window_us = e->last_us = now;
    memcpy(e->key, key.at, key.len);
    if (table_put(&f->entries, bytes_of(e->key, e->len), e) == CODE_OK)
        return e;
    mem_free(e);
    return NULL;
}

static void count(struct failures *f, struct bytes key, uint32_t most, int64_t now)
{
    struct entry *e = find_or_make(f, key, now);
    if (!e)
        return;
    if (over(e, now))
        e->wait_s = e->count = 0;
    if (e->wait_s == 0 && now - e->window_us >= 60 * SECOND) {
        e->window_us = now;
        e->count = 0;
    }
    if (e->count == 0)
        e->window_us = now;
    e->last_us = now;
    e->count++;
    if (most == f->per_minute) /* not the ten times as many of an address */
        limits_saw(LIMIT_AUTH_FAILURES, e->count);
    if (e->count < most)
        return;
    e->wait_s = e->wait_s ? e->wait_s * 2 : 1;
    if (e->wait_s > FAILURES_WAIT_MAX_S)
        e->wait_s = FAILURES_WAIT_MAX_S;
    e->until_us = now + e->wait_s * SECOND;
}

static int64_t wait_of(const struct failures *f, struct bytes key, int64_t now)
{
    const struct entry *e = table_get(&f->entries, key);
    return e && e->until_us > now ? e->until_us - now : 0;
}

int64_t failures_wait_us(struct failures *f, struct bytes address, struct bytes name, int64_t now)
{
    uint8_t key[KEY_MAX];
    (void)pthread_mutex_lock(&f->lock);
    int64_t a = wait_of(f, key_of(key, address, name), now), b = wait_of(f, address_key(key, address), now);
    (void)pthread_mutex_unlock(&f->lock);
    return a > b ? a : b;
}

void failures_add(struct failures *f, struct bytes address, struct bytes name, int64_t now)
{
    uint8_t key[KEY_MAX];
    (void)pthread_mutex_lock(&f->lock);
    count(f, key_of(key, address, name), f->per_minute, now);
    count(f, address_key(key, address), f->per_minute > UINT32_MAX / ADDRESS_FACTOR ? UINT32_MAX : f->per_minute * ADDRESS_FACTOR,
          now);
    (void)pthread_mutex_unlock(&f->lock);
}

void failures_forget(struct failures *f, struct bytes address, struct bytes name)
{
    uint8_t key[KEY_MAX];
    (void)pthread_mutex_lock(&f->lock);
    struct entry *e = table_remove(&f->entries, key_of(key, address, name));
    (void)pthread_mutex_unlock(&f->lock);
    mem_free(e);
}
