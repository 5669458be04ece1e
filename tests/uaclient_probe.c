/* uaclient_probe.c - the OPC UA client with nothing around it, for tests against servers of others: what it tells comes as JSON, one
 * object a line.
 *
 *   uaclient_probe URL [policy=NAME] [mode=1|2|3] [user=NAME] [password=TEXT] [person=CERT,KEY] [own=CERT,KEY] [trust=DIR] [any]
 *                      [channel_ms=N] [session_ms=N] [publishing=MS] [keep_alive=MS] [request_ms=N] [silent=MS] [queue=N] [sampling=MS]
 *                      [history] [late-ack] [quiet] [watch=NODE,COUNT]...
 *
 * watch=ns=1;s=Counter,1000 is Counter0 ... Counter999. Lines on standard input: look, read NODE, shape NODE (a structure by its description), browse NODE DEPTH, drop (cuts the
 * connection), ack (late-ack: everything so far), leave. Its end closes the client at once.
 */
#include "base/mem.h"
#include "opcua/application.h"
#include "opcua/json.h"
#include "opcua/text.h"
#include "opcua/trust.h"
#include "uaclient/thing_json.h"
#include "uaclient/many.h"
#include "uaclient/shape.h"
#include "uaclient/subscription.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { NODES = 100000, LINE = 4096 };

struct probe {
    struct loop *loop;
    struct ua_client *client;
    struct ua_subscription *sub;
    struct ua_client_options set;
    struct ua_subscription_options sub_set;
    struct ua_watch *watches;
    size_t watch_count;
    uint32_t queue;
    double sampling;
    bool history, quiet, late_ack;
    uint64_t last_message;
    struct timer timer;
    char line[LINE];
    size_t line_len;
    struct ua_read_value_id read;
    struct ua_shapes *shapes;
    bool shape; /* the next value read is wanted as a structure */
    struct ua_extension_object object;
    struct arena arena;
    unsigned seen;
    uint64_t sum, received;
    int64_t *last; /* quiet: the value before, to see whether each comes */
    uint64_t missing;
};

static const char *json(struct bytes b)
{
    static struct buf out;
    buf_reset(&out);
    buf_json(&out, b);
    buf_u8(&out, 0);
    return (const char *)out.at;
}

static void on_up(void *ctx, struct ua_client *c, bool same)
{
    struct ua_client_look l;
    (void)ctx;
    ua_client_look(c, &l);
    printf("{\"up\":true,\"same\":%s,\"policy\":\"%s\",\"mode\":%d,\"product\":%s}\n",
           same ? "true" : "false", l.policy, (int)l.mode, json(bytes_str(l.product)));
}

static void on_down(void *ctx, struct ua_client *c, const struct fault *why, int64_t retry)
{
    struct probe *p = ctx;
    (void)c;
    printf("{\"down\":%d,\"text\":%s,\"retry\":%lld}\n", why ? why->number : 0,
           json(bytes_str(why ? why->text : "left")), (long long)retry);
    if (retry < 0)
        loop_stop(p->loop);
}

static void on_notice(void *ctx, struct ua_client *c, const struct fault *what)
{
    (void)ctx;
    (void)c;
    printf("{\"notice\":%d,\"text\":%s}\n", what->number, json(bytes_str(what->text)));
}

static void value_text(const struct ua_variant *v, char *out, size_t cap)
{
    double d;
    if (v->type == UA_INT64 && !v->array)
        (void)snprintf(out, cap, "%lld", (long long)v->i64);
    else if (!v->array && ua_number(v, &d))
        (void)snprintf(out, cap, "%.17g", d);
    else if (v->type == UA_STRING && !v->array)
        (void)bytes_escape(v->text, out, cap);
    else
        (void)snprintf(out, cap, "%s%s", ua_builtin_name(v->type) ? ua_builtin_name(v->type) : "nothing",
                       v->array ? "[]" : "");
}

static void count_quietly(struct probe *p, const struct ua_change *ch)
{
    int64_t v = ch->value.value.i64 < 0 ? -ch->value.value.i64 : ch->value.value.i64;
    if (p->last[ch->handle] && v != p->last[ch->handle] + 1)
        p->missing++;
    p->last[ch->handle] = v;
}

static void on_changes(void *ctx, struct ua_subscription *s, const struct ua_changes *c)
{
    struct probe *p = ctx;
    (void)s;
    p->received += c->count;
    if (c->message)
        p->last_message = c->message;
    for (size_t i = 0; i < c->count; i++) {
        const struct ua_change *ch = &c->at[i];
        char text[200];
        if (p->quiet) {
            count_quietly(p, ch);
            continue;
        }
        value_text(&ch->value.value, text, sizeof text);
        printf("{\"item\":%u,\"value\":%s,\"status\":%u,\"time\":%lld,\"from\":%d}\n", ch->handle,
               json(bytes_str(text)), ch->value.status, (long long)ua_time_us(ch->value.source_time),
               (int)c->from);
    }
}

static void on_event(void *ctx, struct ua_subscription *s, const struct ua_occurrence *o)
{
    (void)ctx;
    (void)s;
    printf("{\"event\":%u,\"fields\":%u}\n", o->handle, o->count);
}

static void on_item(void *ctx, struct ua_subscription *s, uint32_t handle, ua_status status, double sampling,
                    uint32_t queue)
{
    struct probe *p = ctx;
    char scratch[16];
    (void)s;
    if (!p->quiet || status)
        printf("{\"made\":%u,\"status\":\"%s\",\"sampling\":%g,\"queue\":%u}\n", handle,
               ua_status_text(status, scratch), sampling, queue);
}

static void on_gap(void *ctx, struct ua_subscription *s, const struct ua_gap *g)
{
    (void)ctx;
    (void)s;
    printf("{\"gap\":%d,\"lost\":%llu,\"items\":%u,\"filled\":%u,\"ms\":%lld,\"text\":%s}\n", g->why.number,
           (unsigned long long)g->lost_messages, g->items, g->filled, (long long)(g->to - g->from) / 10000,
           json(bytes_str(g->why.text)));
}

/* ---- what is asked on standard input ---- */

static void fail(const struct fault *why)
{
    printf("{\"failed\":%s}\n", json(bytes_str(why->text)));
    exit(1);
}

static void look(struct probe *p)
{
    struct ua_client_look l;
    ua_client_look(p->client, &l);
    printf("{\"look\":\"%s\",\"items\":%u,\"good\":%u,\"messages\":%llu,\"values\":%llu,\"keepAlives\":%llu,"
           "\"republished\":%llu,"
           "\"lost\":%llu,\"duplicates\":%llu,\"madeAnew\":%llu,\"connects\":%llu,\"sessions\":%llu,"
           "\"renewals\":%llu,\"unasked\":%llu,"
           "\"lacks\":%u,\"missing\":%llu,\"received\":%llu,\"waiting\":%u,\"in\":%llu,\"clock\":%lld,"
           "\"unsafe\":%d,\"heap\":%llu}\n",
           ua_client_state_name(l.state), l.items, l.good_items, (unsigned long long)l.messages,
           (unsigned long long)l.values, (unsigned long long)l.keep_alives, (unsigned long long)l.republished,
           (unsigned long long)l.lost_messages, (unsigned long long)l.duplicates,
           (unsigned long long)l.made_anew, (unsigned long long)l.connects, (unsigned long long)l.sessions,
           (unsigned long long)l.renewals, (unsigned long long)l.unasked, l.lacks,
           (unsigned long long)p->missing, (unsigned long long)p->received, l.waiting,
           (unsigned long long)l.bytes_in, (long long)l.clock_us, l.unsafe, (unsigned long long)mem_in_use());
}

static void on_shape(void *ctx, ua_status status)
{
    struct probe *p = ctx;
    struct ua_thing thing;
    struct fault why = {0};
    struct buf out = {0};
    char scratch[16];
    struct ua_json j = {.out = &out, .plain = true};
    if (status) {
        printf("{\"shape\":null,\"status\":\"%s\"}\n", ua_status_text(status, scratch));
        return;
    }
    if (ua_shapes_read(p->shapes, &p->object, &p->arena, &thing, &why))
        fail(&why);
    thing_json(&j, &thing);
    buf_u8(&out, 0);
    printf("{\"shape\":%s}\n", (const char *)out.at);
    buf_clear(&out);
}

static void ask_shape(struct probe *p, const struct ua_variant *v)
{
    struct fault why = {0};
    struct ua_variant copy;
    if (v->type != UA_EXTENSION_OBJECT || v->array || !ua_variant_copy(&p->arena, v, &copy))
        return;
    p->object = *(const struct ua_extension_object *)copy.at;
    if ((!p->shapes && ua_shapes_open(&p->shapes, p->client, &why)) ||
        ua_shapes_ask(p->shapes, &p->object.type, on_shape, p, &why))
        fail(&why);
}

static void read_part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    const struct ua_data_value *v = results;
    char scratch[16], text[200] = "";
    struct probe *p = ctx;
    (void)first;
    (void)count;
    if (v && p->shape)
        ask_shape(p, &v->value);
    if (v)
        value_text(&v->value, text, sizeof text);
    printf("{\"read\":%s,\"status\":\"%s\"}\n", json(bytes_str(text)),
           ua_status_text(v ? v->status : status, scratch));
}

static void done(void *ctx, ua_status status)
{
    struct probe *p = ctx;
    char scratch[16];
    printf("{\"done\":\"%s\",\"seen\":%u}\n", ua_status_text(status, scratch), p->seen);
}

static bool on_reference(void *ctx, const struct ua_node_id *parent, unsigned level,
                         const struct ua_reference_description *r)
{
    struct probe *p = ctx;
    (void)parent;
    (void)level;
    (void)r;
    p->seen++;
    return true;
}

static bool parse_node(struct probe *p, const char *text, struct ua_node_id *id)
{
    const char *copy = arena_text(&p->arena, bytes_str(text));
    struct fault why = {0};
    if (copy && ua_node_id_parse(id, bytes_str(copy), &p->arena, &why) == CODE_OK)
        return true;
    printf("{\"wrong\":%s}\n", json(bytes_str(why.text)));
    return false;
}

static void command(struct probe *p, char *line)
{
    struct fault why = {0};
    struct ua_node_id id;
    enum code code = CODE_OK;
    if (strcmp(line, "look") == 0) {
        look(p);
    } else if (strcmp(line, "leave") == 0) {
        ua_client_leave(p->client);
    } else if (strcmp(line, "ack") == 0) {
        ua_subscription_ack(p->sub, p->last_message);
    } else if ((strncmp(line, "read ", 5) == 0 || strncmp(line, "shape ", 6) == 0) &&
               parse_node(p, strchr(line, ' ') + 1, &p->read.node_id)) {
        p->shape = line[0] == 's';
        p->read.attribute_id = 13;
        struct ua_read_request r = {
            .timestamps_to_return = UA_TIMES_BOTH, .nodes_to_read = &p->read, .nodes_to_read_count = 1};
        code = ua_ask_list(p->client, UA_LIST_READ, &r, read_part, done, p, &why);
    } else if (strncmp(line, "browse ", 7) == 0) {
        char *space = strrchr(line + 7, ' ');
        struct ua_browse_options o = {.depth = space ? (unsigned)atoi(space + 1) : 1};
        if (space)
            *space = 0;
        p->seen = 0;
        if (parse_node(p, line + 7, &id))
            code = ua_browse(p->client, &id, &o, on_reference, done, p, &why);
    }
    if (code)
        printf("{\"error\":%s}\n", json(bytes_str(why.text)));
}

static void listen_in(struct timer *t)
{
    struct probe *p = (struct probe *)(void *)((char *)t - offsetof(struct probe, timer));
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n == 0) {
            loop_stop(p->loop);
            return;
        }
        if (n < 0)
            break;
        if (c != '\n' && p->line_len + 1 < sizeof p->line) {
            p->line[p->line_len++] = c;
            continue;
        }
        p->line[p->line_len] = 0;
        p->line_len = 0;
        command(p, p->line);
    }
    fflush(stdout);
    timer_start(p->loop, t, 20, listen_in);
}

/* ---- the command line ---- */

static struct ua_application *application(const char *pair)
{
    char *copy = mem_strdup(pair), *comma = strchr(copy, ',');
    struct ua_application *a;
    struct fault why = {0};
    *comma = 0;
    if (ua_application_load(&a, &io_system, copy, comma + 1, &why))
        fail(&why);
    mem_free(copy);
    return a;
}

static void add_watches(struct probe *p, const char *what)
{
    const char *comma = strrchr(what, ',');
    unsigned n = comma ? (unsigned)atoi(comma + 1) : 1;
    struct fault why = {0};
    for (unsigned i = 0; i < n && p->watch_count < NODES; i++) {
        char text[300];
        if (comma)
            (void)snprintf(text, sizeof text, "%.*s%u", (int)(comma - what), what, i);
        else
            (void)snprintf(text, sizeof text, "%s", what);
        struct ua_watch *w = &p->watches[p->watch_count];
        *w = (struct ua_watch){.handle = (uint32_t)p->watch_count, .mode = UA_MONITOR_REPORTING};
        if (ua_expanded_parse(&w->node, bytes_str(arena_text(&p->arena, bytes_str(text))), &p->arena, &why))
            fail(&why);
        p->watch_count++;
    }
}

static bool is(const char *arg, const char *name, const char **value)
{
    size_t n = strlen(name);
    *value = arg + n + 1;
    return strncmp(arg, name, n) == 0 && arg[n] == '=';
}

static void option(struct probe *p, const char *arg)
{
    const char *v;
    if (is(arg, "policy", &v))
        p->set.policy = v;
    else if (is(arg, "mode", &v))
        p->set.mode = (enum ua_message_security_mode)atoi(v);
    else if (is(arg, "user", &v))
        p->set.user.kind = UA_USER_NAME, p->set.user.name = bytes_str(v);
    else if (is(arg, "password", &v))
        p->set.user.password = bytes_str(v);
    else if (is(arg, "person", &v))
        p->set.user.kind = UA_USER_CERTIFICATE, p->set.user.certificate = application(v);
    else if (is(arg, "own", &v))
        p->set.own = application(v);
    else if (is(arg, "trust", &v)) {
        struct fault why = {0};
        if (ua_trust_open(&p->set.trust, &io_system, v, &why))
            fail(&why);
    } else if (is(arg, "channel_ms", &v))
        p->set.channel_ms = atoi(v);
    else if (is(arg, "session_ms", &v))
        p->set.session_ms = atoi(v);
    else if (is(arg, "request_ms", &v))
        p->set.request_ms = atoi(v);
    else if (is(arg, "publishing", &v))
        p->sub_set.publishing_ms = atof(v);
    else if (is(arg, "keep_alive", &v))
        p->sub_set.keep_alive_ms = atoi(v);
    else if (is(arg, "silent", &v))
        p->sub_set.silent_ms = atoi(v);
    else if (is(arg, "queue", &v))
        p->queue = (uint32_t)atoi(v);
    else if (is(arg, "sampling", &v))
        p->sampling = atof(v);
    else if (is(arg, "watch", &v))
        add_watches(p, v);
    else if (strcmp(arg, "any") == 0)
        p->set.accept_any = true;
    else if (strcmp(arg, "history") == 0)
        p->history = true;
    else if (strcmp(arg, "late-ack") == 0)
        p->late_ack = p->sub_set.acknowledge = true;
    else if (strcmp(arg, "quiet") == 0)
        p->quiet = true;
    else
        fail(&(struct fault){.text = "an argument is not understood"});
}

static void start(struct probe *p)
{
    static const struct ua_client_events events = {on_up, on_down, on_notice};
    static const struct ua_subscription_events sub_events = { .on_changes = on_changes, .on_event = on_event, .on_item = on_item, .on_gap = on_gap };
    struct fault why = {0};
    if (loop_open_uv(&p->loop, &why) || ua_client_open(&p->client, p->loop, &p->set, &events, p, &why))
        fail(&why);
    for (size_t i = 0; i < p->watch_count; i++) {
        p->watches[i].queue = p->queue;
        p->watches[i].sampling_ms = p->sampling;
        p->watches[i].history = p->history;
    }
    if (p->watch_count && (ua_subscription_open(&p->sub, p->client, &p->sub_set, &sub_events, p, &why) ||
                           ua_subscription_add(p->sub, p->watches, p->watch_count, NULL, &why)))
        fail(&why);
}

int main(int argc, char **argv)
{
    struct probe p = {.set = {.reconnect = true},
                      .watches = mem_zalloc(NODES, sizeof(struct ua_watch)),
                      .last = mem_zalloc(NODES, sizeof(int64_t))};
    arena_init(&p.arena, NULL, 0, 64 << 20);
    if (argc < 2 || !p.watches || !p.last)
        return 2;
    p.set.url = argv[1];
    for (int i = 2; i < argc; i++)
        option(&p, argv[i]);
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    start(&p);
    listen_in(&p.timer);
    loop_run(p.loop);
    look(&p);
    if (p.shapes)
        ua_shapes_close(p.shapes);
    ua_client_close(p.client);
    loop_close(p.loop);
    ua_application_drop(p.set.own);
    if (p.set.user.kind == UA_USER_CERTIFICATE)
        ua_application_drop(p.set.user.certificate);
    ua_trust_close(p.set.trust);
    mem_free(p.watches);
    mem_free(p.last);
    arena_clear(&p.arena);
    fflush(stdout);
    return 0;
}
