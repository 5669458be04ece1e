#include "identity/access.h"

#include "base/mem.h"
#include "mqtt/topic.h"

static _Atomic uint64_t serials;

struct access *access_new(struct users *users, struct rules *rules)
{
    struct access *a = mem_zalloc(1, sizeof *a);
    if (!a) {
        users_free(users);
        rules_free(rules);
        return NULL;
    }
    atomic_init(&a->refs, 1);
    a->serial = atomic_fetch_add(&serials, 1) + 1;
    a->users = users;
    a->rules = rules;
    return a;
}

void access_drop(struct access *a)
{
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    users_free(a->users);
    rules_free(a->rules);
    mem_free(a);
}

bool access_still(const struct access *a, const struct principal *p)
{
    uint8_t record[SHA256_BYTES];
    if (p->proof != PROOF_PASSWORD && p->proof != PROOF_SCRAM)
        return true;
    const struct user *user = users_find(a->users, p->id);
    bool has = user && (p->proof == PROOF_PASSWORD ? user->has_password : user->has_scram);
    return has && principal_record(user, (enum principal_proof)p->proof, record) && crypto_equal(record, p->record);
}

bool access_knows(const struct access *a, struct bytes principal)
{
    enum principal_kind kind;
    struct bytes name;
    if (!a || !principal_parse(principal, &kind, &name) || kind != PRINCIPAL_USER)
        return true;
    return users_find(a->users, name) != NULL;
}

struct subject access_subject(const struct access *a, struct bytes principal, struct bytes client_id)
{
    enum principal_kind kind;
    struct subject s = { .client = client_id };
    if (!principal_parse(principal, &kind, &s.user) || kind == PRINCIPAL_ANONYMOUS) {
        s.anonymous = true;
        s.user = BYTES_NONE;
    }
    const struct user *user = a && !s.anonymous && kind == PRINCIPAL_USER ? users_find(a->users, s.user) : NULL;
    s.roles = user ? user->roles : NULL;
    s.role_count = user ? user->role_count : 0;
    return s;
}

/* The first level, or all there is. */
static bool begins_with_level(struct bytes topic, const char *level)
{
    size_t n = strlen(level);
    return bytes_starts(topic, level) && (topic.len == n || topic.at[n] == '/');
}

static bool of_the_hub(struct bytes topic)
{
    return topic.len && (topic.at[0] == '$' || topic.at[0] == 'd') &&
           (begins_with_level(topic, "$iothub") || begins_with_level(topic, "$dps") || begins_with_level(topic, "devices"));
}

static bool sees_sys(const struct subject *s, bool loopback)
{
    for (size_t i = 0; i < s->role_count; i++)
        if (bytes_is(s->roles[i], "admin") || bytes_is(s->roles[i], "monitor"))
            return true;
    return s->anonymous && loopback;
}

bool access_publish(const struct access *a, const struct subject *s, struct bytes topic)
{
    if (of_the_hub(topic) || begins_with_level(topic, "$SYS"))
        return false;
    return !a || !a->rules || rules_topic(a->rules, s, RIGHT_PUBLISH, topic) == RULING_ALLOWED;
}

bool access_subscribe(const struct access *a, const struct subject *s, bool loopback, struct bytes filter)
{
    struct bytes share, inner;
    topic_filter_split(filter, &share, &inner);
    if (of_the_hub(inner))
        return false;
    enum ruling ruling = a && a->rules ? rules_filter(a->rules, s, RIGHT_SUBSCRIBE, inner) : RULING_NONE;
    if (ruling != RULING_NONE)
        return ruling == RULING_ALLOWED;
    return begins_with_level(inner, "$SYS") ? sees_sys(s, loopback) : !a || !a->rules;
}

bool access_receive(const struct access *a, const struct subject *s, struct bytes topic)
{
    bool sys = begins_with_level(topic, "$SYS"), rules = a && a->rules;
    if (!sys && !rules)
        return true;
    enum ruling ruling = rules ? rules_topic(a->rules, s, RIGHT_SUBSCRIBE, topic) : RULING_NONE;
    return ruling == RULING_NONE ? sys && sees_sys(s, true) : ruling == RULING_ALLOWED;
}

bool access_read(const struct access *a, const struct subject *s, struct bytes topic)
{
    if (!a || !a->rules || begins_with_level(topic, "$SYS"))
        return true;
    return rules_topic(a->rules, s, RIGHT_READ, topic) == RULING_ALLOWED;
}
