/* manage.c - what the person who runs the node may change in it: POST /api/v1/log, POST /api/v1/reload. */
#include "api/api_private.h"

#include "base/log.h"
#include "base/mem.h"

/* ---- log levels ---- */

static void log_reply(struct http_exchange *x)
{
    struct buf out = { 0 };
    buf_printf(&out, "{\"level\":\"%s\",\"levels\":{", log_level_names[log_get_level()]);
    for (int i = 0; i < LOG_AREA_COUNT; i++) {
        int level = log_get_area_level(i);
        buf_printf(&out, "%s\"%s\":\"%s\"", i ? "," : "", log_area_names[i],
                   level > LOG_DEBUG ? "default" : log_level_names[level]);
    }
    buf_printf(&out, "}}\n");
    api_answer(x, "application/json", &out);
}

static int find(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static void put_names(struct buf *out, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        buf_printf(out, "%s%s", !i ? "" : names[i + 1] ? ", " : " or ", names[i]);
}

static void refuse_word(struct http_exchange *x, const char *what, const char *got, const char *const *names, const char *more)
{
    struct fault why;
    struct buf list = { 0 };
    char said[64];
    put_names(&list, names);
    (void)FAIL_FG(&why, CODE_USAGE, 8003, "%s is %.*s%s, not '%s'", what, BYTES_FMT(buf_bytes(&list)), more,
                  bytes_escape(bytes_str(got), said, sizeof said));
    buf_clear(&list);
    api_refuse(x, 400, &why);
}

static void log_change(struct http_exchange *x, struct bytes query)
{
    char level[16] = "", component[16] = "";
    bool one = http_query(query, "component", component, sizeof component);
    (void)http_query(query, "level", level, sizeof level);
    int to = find(log_level_names, level), area = one ? find(log_area_names, component) : 0;
    if (to < 0 && one && strcmp(level, "default") == 0)
        to = LOG_AS_ALL;
    if (area < 0) {
        refuse_word(x, "component", component, log_area_names, "");
        return;
    }
    if (to < 0) {
        refuse_word(x, "level", level, log_level_names, one ? ", or default" : "");
        return;
    }
    if (one)
        log_set_area_level(area, to);
    else
        log_set_level((enum log_level)to);
    log_info("api", "FG8011 the log level%s%s is %s until a reload or the next start", one ? " of " : "", one ? component : "",
             level);
    log_reply(x);
}

void log_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    (void)a;
    if (bytes_is(r->method, "POST"))
        log_change(x, r->query);
    else
        log_reply(x);
}

/* ---- reload ---- */

static void put_notes(struct buf *out, const struct settings_report *report)
{
    for (size_t i = 0; report && i < report->count; i++) {
        const struct settings_note *n = &report->notes[i];
        buf_printf(out, "%s{\"level\":\"%s\",\"code\":\"FG%04d\",\"where\":", i ? "," : "", n->warning ? "warning" : "error",
                   n->number);
        buf_json(out, bytes_str(n->where));
        buf_printf(out, ",\"text\":");
        buf_json(out, bytes_str(n->text));
        buf_printf(out, "}");
    }
}

static void on_reloaded(void *arg, const struct api_reloaded *r)
{
    struct http_exchange *x = arg;
    struct buf out = { 0 };
    if (!r->why) {
        buf_add_bytes(&out, r->json);
        http_reply(x, 200, "application/json", buf_bytes(&out));
        buf_clear(&out);
        return;
    }
    buf_printf(&out, "{\"error\":{\"code\":\"FG%04d\",\"message\":", r->why->number ? r->why->number : 1030);
    buf_json(&out, bytes_str(r->why->text));
    buf_printf(&out, ",\"notes\":[");
    put_notes(&out, r->report);
    buf_printf(&out, "]}}\n");
    http_reply(x, r->why->code == CODE_CLOSED ? 503 : 409, "application/json", buf_bytes(&out));
    buf_clear(&out);
}

void reload_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    struct fault why;
    (void)r;
    if (!a->config.reload || a->stopping) {
        (void)FAIL_FG(&why, CODE_CLOSED, 8005, "the node is stopping");
        api_refuse(x, 503, &why);
        return;
    }
    a->config.reload(a->config.reload_ctx, on_reloaded, x);
}
