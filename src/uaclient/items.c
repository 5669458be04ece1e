/* items.c - monitored items: wanted, made, refused, changed, taken away; in lists as long as the server takes them. */
#include "uaclient/subscription_private.h"

#include "base/mem.h"

enum {
    RETRY_MS = 10000,
    RETRY_MS_MOST = 60000,
    QUEUE_MOST = 10000,
    EVENT_QUEUE = 1000,
    FASTEST_MS = 10,
    FIRST_PLACES = 16
};

/* ---- an item with everything it points to ---- */

static size_t text_bytes(const struct ua_watch *w)
{
    bool text = w->node.id.kind == UA_ID_STRING || w->node.id.kind == UA_ID_BYTES;
    return (text ? w->node.id.text.len : 0) + w->node.uri.len + w->range.len;
}

static void move_text(struct bytes *b, uint8_t **room)
{
    if (!b->at)
        return;
    if (b->len)
        memcpy(*room, b->at, b->len);
    b->at = *room;
    *room += b->len;
}

static bool encode_filter(const struct ua_watch *w, struct buf *b, struct ua_extension_object *o)
{
    if (w->events) {
        o->type = UA_NS0(ua_event_filter_type.encoding);
        ua_write_struct(b, &ua_event_filter_type, w->events);
    } else if (w->trigger || w->deadband) {
        struct ua_data_change_filter f = {.trigger = w->trigger ? w->trigger - 1 : UA_TRIGGER_STATUS_VALUE,
                                          .deadband_type = w->deadband,
                                          .deadband_value = w->deadband_value};
        o->type = UA_NS0(ua_data_change_filter_type.encoding);
        ua_write_struct(b, &ua_data_change_filter_type, &f);
    } else {
        return true;
    }
    o->kind = UA_BODY_BINARY;
    return !b->bad;
}

static struct sub_item *new_item(const struct ua_watch *w)
{
    struct ua_extension_object filter = {0};
    struct buf b = {0};
    if (!encode_filter(w, &b, &filter)) {
        buf_clear(&b);
        return NULL;
    }
    struct sub_item *item = mem_zalloc(1, sizeof *item + text_bytes(w) + buf_size(&b) + 1);
    if (item) {
        uint8_t *room = (uint8_t *)(item + 1);
        item->status = item->told = UA_BAD_WAITING_FOR_INITIAL_DATA;
        item->watch = *w;
        item->watch.events = NULL;
        if (w->node.id.kind == UA_ID_STRING || w->node.id.kind == UA_ID_BYTES)
            move_text(&item->watch.node.id.text, &room);
        move_text(&item->watch.node.uri, &room);
        move_text(&item->watch.range, &room);
        item->filter = filter;
        item->filter.body = buf_bytes(&b);
        if (filter.kind)
            move_text(&item->filter.body, &room);
    }
    buf_clear(&b);
    return item;
}

/* ---- places ---- */

static bool grow(struct ua_subscription *s, uint32_t need)
{
    uint32_t n = s->cap ? s->cap : FIRST_PLACES;
    while (n < need)
        n *= 2;
    if (n == s->cap)
        return true;
    struct sub_hot *hot = mem_realloc(s->hot, n * sizeof *hot);
    if (hot)
        s->hot = hot;
    struct sub_item **items = mem_realloc(s->items, n * sizeof *items);
    if (items)
        s->items = items;
    uint32_t *free_places = mem_realloc(s->free_places, n * sizeof *free_places);
    if (free_places)
        s->free_places = free_places;
    uint16_t *lives = mem_realloc(s->lives, n * sizeof *lives);
    if (lives)
        s->lives = lives;
    if (!hot || !items || !free_places || !lives)
        return false;
    memset(hot + s->cap, 0, (n - s->cap) * sizeof *hot);
    memset(items + s->cap, 0, (n - s->cap) * sizeof(struct sub_item *));
    memset(lives + s->cap, 0, (n - s->cap) * sizeof *lives);
    for (uint32_t i = n; i > s->cap; i--) /* the lowest is used first */
        s->free_places[s->free_count++] = i - 1;
    s->cap = n;
    return true;
}

static struct sub_item *item_of(const struct ua_subscription *s, uint32_t number)
{
    uint32_t place = number & UA_ITEM_PLACE;
    struct sub_item *item = place < s->cap ? s->items[place] : NULL;
    return item && item->number == number ? item : NULL;
}

static void put(struct ua_subscription *s, struct sub_item *item)
{
    uint32_t place = s->free_places[--s->free_count];
    uint16_t life = (uint16_t)((s->lives[place] + 1) & ((1 << (32 - UA_ITEM_BITS)) - 1));
    s->lives[place] = life ? life : 1;
    item->number = place | (uint32_t)s->lives[place] << UA_ITEM_BITS;
    s->items[place] = item;
    s->hot[place] = (struct sub_hot){.wire = item->number, .owner = item->watch.handle};
    s->count++;
}

static void free_place(struct ua_subscription *s, struct sub_item *item)
{
    uint32_t place = item->number & UA_ITEM_PLACE;
    s->items[place] = NULL;
    s->hot[place] = (struct sub_hot){0};
    s->free_places[s->free_count++] = place;
    mem_free(item);
}

void items_free(struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap; i++)
        mem_free(s->items[i]);
    mem_free(s->items);
    mem_free(s->hot);
    mem_free(s->free_places);
    mem_free(s->lives);
    mem_free(s->gone);
}

/* ---- the owner ---- */

static void take_back(struct ua_subscription *s, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sub_item *item = item_of(s, numbers[i]);
        if (item) {
            s->count--;
            free_place(s, item);
        }
    }
}

enum code ua_subscription_add(struct ua_subscription *s, const struct ua_watch *watches, size_t count,
                              uint32_t *numbers, struct fault *why)
{
    if (count > UA_ITEMS_MAX - s->count || s->count + s->free_count > UA_ITEMS_MAX)
        return FAIL(why, CODE_LIMIT, 0, "a subscription has at most %d items", UA_ITEMS_MAX);
    if (count > s->free_count && !grow(s, (uint32_t)(s->cap + count - s->free_count)))
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu items", count);
    uint32_t *made = mem_alloc((count ? count : 1) * sizeof *made);
    size_t n = 0;
    for (; made && n < count; n++) {
        struct sub_item *item = new_item(&watches[n]);
        if (!item)
            break;
        put(s, item);
        made[n] = item->number;
    }
    bool ok = made && n == count;
    if (!ok)
        take_back(s, made, n);
    else if (numbers && count)
        memcpy(numbers, made, count * sizeof *made);
    mem_free(made);
    if (!ok)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu items", count);
    sub_wake(s, 0);
    return CODE_OK;
}

enum code items_adopt(struct ua_subscription *s, const struct ua_kept_item *kept,
                      const struct ua_watch *watches, size_t count, struct fault *why)
{
    uint32_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = (kept[i].number & UA_ITEM_PLACE) > most ? kept[i].number & UA_ITEM_PLACE : most;
    if (most + 1 > s->cap && !grow(s, most + 1))
        return FAIL(why, CODE_NOMEM, 0, "no memory for %zu items", count);
    for (size_t i = 0; i < count; i++) {
        uint32_t place = kept[i].number & UA_ITEM_PLACE;
        struct sub_item *item = s->items[place] || !kept[i].number ? NULL : new_item(&watches[i]);
        if (!item)
            continue; /* it is not known here, so what comes of it is left out: the owner adds it as a new one */
        item->number = kept[i].number;
        item->id = kept[i].id;
        item->state = ITEM_MADE;
        item->sampling_ms = kept[i].sampling_ms;
        item->queue = kept[i].queue;
        s->lives[place] = (uint16_t)(kept[i].number >> UA_ITEM_BITS);
        s->items[place] = item;
        s->hot[place] = (struct sub_hot){.wire = item->number,
                                         .owner = watches[i].handle,
                                         .last = kept[i].last,
                                         .print = kept[i].print,
                                         .values = kept[i].last != 0};
        s->count++;
    }
    s->free_count = 0;
    for (uint32_t i = s->cap; i > 0; i--)
        if (!s->items[i - 1])
            s->free_places[s->free_count++] = i - 1;
    return CODE_OK;
}

static void delete_later(struct ua_subscription *s, uint32_t id)
{
    if (s->gone_count == s->gone_cap) {
        uint32_t n = s->gone_cap ? s->gone_cap * 2 : FIRST_PLACES;
        uint32_t *gone = mem_realloc(s->gone, n * sizeof *gone);
        if (!gone)
            return; /* it stays on the server; its values are thrown away */
        s->gone = gone;
        s->gone_cap = n;
    }
    s->gone[s->gone_count++] = id;
}

static bool under_way(const struct sub_item *item)
{
    return item->state == ITEM_MAKING || item->state == ITEM_CHANGING;
}

void ua_subscription_remove(struct ua_subscription *s, const uint32_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct sub_item *item = item_of(s, numbers[i]);
        if (!item || item->removed)
            continue;
        s->count--;
        s->hot[numbers[i] & UA_ITEM_PLACE].wire = 0;
        if (under_way(item) && s->jobs) {
            item->removed = true; /* the rest when the server has answered */
            continue;
        }
        if (item->id)
            delete_later(s, item->id);
        free_place(s, item);
    }
    sub_wake(s, 0);
}

enum code ua_subscription_modify(struct ua_subscription *s, uint32_t number, const struct ua_watch *w,
                                 struct fault *why)
{
    struct sub_item *old = item_of(s, number);
    if (!old || old->removed)
        return FAIL(why, CODE_NOTFOUND, 0, "there is no item %u", number);
    if (under_way(old))
        return FAIL(why, CODE_AGAIN, 0, "item %u is being made or changed", number);
    struct sub_item *item = new_item(w);
    if (!item)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an item");
    item->number = number;
    item->id = old->id;
    item->status = old->status;
    item->told = old->told;
    item->told_any = old->told_any;
    item->sampling_ms = old->sampling_ms;
    item->queue = old->queue;
    item->state = old->state == ITEM_MADE || old->state == ITEM_CHANGED ? ITEM_CHANGED : ITEM_WANTED;
    s->items[number & UA_ITEM_PLACE] = item;
    s->hot[number & UA_ITEM_PLACE].owner = w->handle;
    mem_free(old);
    sub_wake(s, 0);
    return CODE_OK;
}

bool ua_subscription_item(const struct ua_subscription *s, uint32_t number, struct ua_item_look *l)
{
    const struct sub_item *item = item_of(s, number);
    if (!item || item->removed)
        return false;
    const struct sub_hot *h = &s->hot[number & UA_ITEM_PLACE];
    *l = (struct ua_item_look){.handle = item->watch.handle,
                               .status = item->status,
                               .sampling_ms = item->sampling_ms,
                               .queue = item->queue,
                               .values = h->values,
                               .last = h->last,
                               .print = h->print,
                               .id = item->id};
    return true;
}

/* ---- on the server ---- */

void items_forget_server(struct ua_subscription *s)
{
    s->gone_count = 0;
    for (uint32_t i = 0; i < s->cap; i++) {
        struct sub_item *item = s->items[i];
        if (!item)
            continue;
        item->state = ITEM_WANTED;
        item->id = 0;
        item->tries = 0;
        if (item->removed)
            free_place(s, item);
    }
}

/* A list of items under way. The items it names stay in memory until it is done. */
struct job {
    struct ua_work work; /* first */
    struct ua_subscription *sub;
    struct ua_client *client;
    uint32_t life, count;
    bool in_doubt;  /* no answer: perhaps they are there */
    ua_status lost; /* the subscription is gone */
    uint32_t *numbers;
    union {
        struct ua_monitored_item_create_request *create;
        struct ua_monitored_item_modify_request *modify;
        uint32_t *remove;
        void *list;
    };
};

static void free_job(struct job *j)
{
    mem_free(j->numbers);
    mem_free(j->list);
    mem_free(j);
}

static void drop_job(struct ua_work *w)
{
    work_end(w);
    free_job((struct job *)(void *)w);
}

static struct job *new_job(struct ua_subscription *s, uint32_t count, size_t size)
{
    struct job *j = mem_zalloc(1, sizeof *j);
    if (!j)
        return NULL;
    *j = (struct job){.sub = s, .client = s->client, .life = s->life};
    j->numbers = mem_alloc(count * sizeof *j->numbers);
    j->list = mem_zalloc(count, size);
    if (!j->numbers || !j->list) {
        free_job(j);
        return NULL;
    }
    return j;
}

/* False: the subscription is gone. */
static bool tell(struct ua_subscription *s, struct sub_item *item)
{
    if (item->removed || (item->told_any && item->told == item->status))
        return true;
    item->told = item->status;
    item->told_any = true;
    sub_enter(s);
    if (s->events.on_item)
        s->events.on_item(s->ctx, s, item->watch.handle, item->status, item->sampling_ms, item->queue);
    return sub_leave(s);
}

static bool refuse(struct ua_subscription *s, struct sub_item *item, ua_status status)
{
    int64_t ms = RETRY_MS << (item->tries < 3 ? item->tries : 3);
    if (item->state == ITEM_MAKING && item->watch.registered_in) { /* some servers register ids that they do not let one watch */
        item->watch.registered_in = 0;
        item->state = ITEM_WANTED;
        return true;
    }
    item->state = ITEM_BAD;
    item->status = status;
    item->tries++;
    item->retry_us = loop_now_us(s->client->loop) + (ms < RETRY_MS_MOST ? ms : RETRY_MS_MOST) * 1000;
    return tell(s, item);
}

static bool made_good(struct ua_subscription *s, struct sub_item *item, double sampling, uint32_t queue)
{
    item->state = ITEM_MADE;
    item->status = UA_GOOD;
    item->tries = 0;
    item->sampling_ms = sampling;
    item->queue = queue;
    return tell(s, item);
}

bool items_taken(struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap && !s->client->dead; i++)
        if (s->items[i] && s->items[i]->state == ITEM_MADE &&
            !made_good(s, s->items[i], s->items[i]->sampling_ms, s->items[i]->queue))
            return false;
    return !s->closed;
}

static void note_failure(struct job *j, ua_status status)
{
    if (status == UA_BAD_TIMEOUT || status == UA_BAD_CONNECTION_CLOSED)
        j->in_doubt = true;
    if (ua_code(status) == UA_BAD_SUBSCRIPTION_ID_INVALID)
        j->lost = status;
}

/* The item at this place of the job, if it is still to be told. */
static struct sub_item *still(const struct job *j, size_t i)
{
    struct sub_item *item = j->sub->closed || j->life != j->sub->life ? NULL : item_of(j->sub, j->numbers[i]);
    return item && under_way(item) ? item : NULL;
}

static bool take(struct job *j, size_t i, ua_status status, uint32_t id, double sampling, uint32_t queue)
{
    struct sub_item *item = still(j, i);
    if (!item)
        return !j->sub->closed;
    if (ua_is_bad(status))
        return refuse(j->sub, item, status);
    if (id)
        item->id = id;
    return made_good(j->sub, item, sampling, queue);
}

static void made_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct job *j = ctx;
    const struct ua_monitored_item_create_result *r = results;
    if (!r)
        note_failure(j, status);
    for (size_t i = 0; i < count && !j->client->dead && !j->in_doubt; i++)
        if (!take(j, first + i, r ? r[i].status_code : status, r ? r[i].monitored_item_id : 0,
                  r ? r[i].revised_sampling_interval : 0, r ? r[i].revised_queue_size : 0))
            return;
}

static void changed_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct job *j = ctx;
    const struct ua_monitored_item_modify_result *r = results;
    if (!r)
        note_failure(j, status);
    for (size_t i = 0; i < count && !j->client->dead && !j->in_doubt; i++)
        if (!take(j, first + i, r ? r[i].status_code : status, 0, r ? r[i].revised_sampling_interval : 0,
                  r ? r[i].revised_queue_size : 0))
            return;
}

static void removed_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct job *j = ctx;
    (void)first;
    (void)count;
    if (!results && status != UA_BAD_CONNECTION_CLOSED)
        client_lacks(j->client, UA_LACK_DELETE);
}

static void free_removed(struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap; i++) {
        struct sub_item *item = s->items[i];
        if (!item || !item->removed)
            continue;
        if (item->id)
            delete_later(s, item->id);
        free_place(s, item);
    }
}

static void job_done(void *ctx, ua_status status)
{
    struct job *j = ctx;
    struct ua_subscription *s = j->sub;
    bool same = j->life == s->life, in_doubt = j->in_doubt && status != UA_BAD_CONNECTION_CLOSED,
         lost = j->lost != 0;
    drop_job(&j->work);
    s->jobs--;
    if (!sub_asked(s) || status == UA_BAD_CONNECTION_CLOSED)
        return; /* resume() sees what was under way */
    free_removed(s);
    if (same && (in_doubt || lost))
        sub_gone(s, lost ? "gone on the server" : "the server did not say which items it has made", in_doubt);
    else
        sub_wake(s, 0);
}

static uint32_t default_queue(const struct ua_subscription *s, const struct ua_watch *w)
{
    if (w->attribute == UA_ATTR_EVENT_NOTIFIER)
        return EVENT_QUEUE;
    double each = w->sampling_ms > 0 ? w->sampling_ms : w->sampling_ms < 0 ? s->publishing_ms : FASTEST_MS;
    double n = s->publishing_ms / each * 1.5 + 1;
    return n < 2 ? 2 : n > QUEUE_MOST ? QUEUE_MOST : (uint32_t)n;
}

static struct ua_monitoring_parameters parameters(const struct ua_subscription *s,
                                                  const struct sub_item *item)
{
    const struct ua_watch *w = &item->watch;
    return (struct ua_monitoring_parameters){.client_handle = item->number,
                                             .sampling_interval = w->sampling_ms,
                                             .filter = item->filter,
                                             .queue_size = w->queue ? w->queue : default_queue(s, w),
                                             .discard_oldest = !w->discard_newest};
}

static bool due(const struct ua_subscription *s, const struct sub_item *item)
{
    return !item->removed && (item->state == ITEM_WANTED ||
                              (item->state == ITEM_BAD && item->retry_us <= loop_now_us(s->client->loop)));
}

/* Fills the list with what is due. False: the subscription is gone. */
static bool collect_wanted(struct job *j, uint32_t most)
{
    struct ua_subscription *s = j->sub;
    for (uint32_t i = 0; i < s->cap && j->count < most; i++) {
        struct sub_item *item = s->items[i];
        struct ua_node_id id;
        if (!item || !due(s, item))
            continue;
        if (!ua_client_resolve(s->client, &item->watch.node, &id)) {
            if (!refuse(s, item, UA_BAD_NODE_ID_UNKNOWN))
                return false;
            continue;
        }
        if (item->watch.registered_in && item->watch.registered_in == s->client->sessions)
            id = item->watch.registered;
        j->numbers[j->count] = item->number;
        j->create[j->count++] = (struct ua_monitored_item_create_request){
            .item_to_monitor = {.node_id = id,
                                .attribute_id = item->watch.attribute ? item->watch.attribute : UA_ATTR_VALUE,
                                .index_range = item->watch.range},
            .monitoring_mode = (int32_t)item->watch.mode,
            .requested_parameters = parameters(s, item),
        };
        item->state = ITEM_MAKING;
    }
    return true;
}

static void uncollect(struct job *j, enum item_state from, enum item_state to)
{
    for (uint32_t i = 0; i < j->count; i++) {
        struct sub_item *item = item_of(j->sub, j->numbers[i]);
        if (item && item->state == from)
            item->state = to;
    }
}

static bool start(struct job *j, enum ua_list_service service, const void *request, ua_part_fn part)
{
    struct ua_subscription *s = j->sub;
    s->jobs++;
    sub_ask(s);
    work_begin(s->client, &j->work, drop_job);
    if (ua_ask_list(s->client, service, request, part, job_done, j, NULL) == CODE_OK)
        return true;
    work_end(&j->work);
    s->jobs--;
    s->requests--;
    sub_wake(s, 1000);
    return false;
}

/* Each of these: true when something is under way now, or the subscription is gone. */
static bool make_wanted(struct ua_subscription *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->cap; i++)
        n += s->items[i] && due(s, s->items[i]);
    struct job *j = n ? new_job(s, n, sizeof *j->create) : NULL;
    if (!j) {
        if (n)
            sub_wake(s, 1000);
        return n != 0;
    }
    sub_enter(s);
    bool there = collect_wanted(j, n) && !s->closed;
    struct ua_create_monitored_items_request r = {.subscription_id = s->id,
                                                  .timestamps_to_return = (int32_t)s->set.times,
                                                  .items_to_create = j->create,
                                                  .items_to_create_count = j->count};
    bool under = there && j->count && start(j, UA_LIST_MONITOR, &r, made_part);
    if (!under) {
        if (there)
            uncollect(j, ITEM_MAKING, ITEM_WANTED);
        under = j->count != 0;
        free_job(j);
    }
    return !sub_leave(s) || under;
}

static bool change_changed(struct ua_subscription *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->cap; i++)
        n += s->items[i] && s->items[i]->state == ITEM_CHANGED;
    struct job *j = n ? new_job(s, n, sizeof *j->modify) : NULL;
    if (!j) {
        if (n)
            sub_wake(s, 1000);
        return n != 0;
    }
    for (uint32_t i = 0; i < s->cap; i++) {
        struct sub_item *item = s->items[i];
        if (!item || item->state != ITEM_CHANGED)
            continue;
        j->numbers[j->count] = item->number;
        j->modify[j->count++] = (struct ua_monitored_item_modify_request){
            .monitored_item_id = item->id, .requested_parameters = parameters(s, item)};
        item->state = ITEM_CHANGING;
    }
    struct ua_modify_monitored_items_request r = {.subscription_id = s->id,
                                                  .timestamps_to_return = (int32_t)s->set.times,
                                                  .items_to_modify = j->modify,
                                                  .items_to_modify_count = j->count};
    if (start(j, UA_LIST_MODIFY, &r, changed_part))
        return true;
    uncollect(j, ITEM_CHANGING, ITEM_CHANGED);
    free_job(j);
    return true;
}

static bool remove_gone(struct ua_subscription *s)
{
    struct job *j = s->gone_count ? new_job(s, s->gone_count, sizeof *j->remove) : NULL;
    if (!j)
        return false;
    memcpy(j->remove, s->gone, s->gone_count * sizeof *j->remove);
    struct ua_delete_monitored_items_request r = {
        .subscription_id = s->id, .monitored_item_ids = j->remove, .monitored_item_ids_count = s->gone_count};
    if (!start(j, UA_LIST_UNMONITOR, &r, removed_part)) {
        free_job(j);
        return false;
    }
    s->gone_count = 0;
    return true;
}

static void wake_for_retry(struct ua_subscription *s)
{
    int64_t first = INT64_MAX, now = loop_now_us(s->client->loop);
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->items[i] && s->items[i]->state == ITEM_BAD && s->items[i]->retry_us < first)
            first = s->items[i]->retry_us;
    if (first != INT64_MAX)
        sub_wake(s, first > now ? (first - now) / 1000 + 1 : 1);
}

static bool has_work(const struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->items[i] && (due(s, s->items[i]) || s->items[i]->state == ITEM_CHANGED))
            return true;
    return s->gone_count != 0;
}

bool items_pump(struct ua_subscription *s)
{
    if (s->jobs)
        return false;
    if (has_work(s) && !sub_settled(s, false))
        return false;
    if (remove_gone(s) || make_wanted(s))
        return false;
    if (change_changed(s))
        return false;
    wake_for_retry(s);
    return true;
}
