/* jobs.c - GET and POST /api/v1/jobs...: what jobs do, are and have learned; made, replaced and removed by verbs. Jobs wait for loops:
 * all of this is done on the pool. */
#include "api/api_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "flow/flow.h"
#include "net/pool.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define JSON "application/json"

enum { KEY_MAX = 1024, SQL_MAX = 64 * 1024 };

struct work {
    struct pool_job job;
    struct api *api;
    struct http_exchange *x;
    void (*run)(struct work *);
    char name[JOB_NAME_MAX + 1];
    char key[KEY_MAX];
    struct buf sql, out;
    unsigned status; /* 0: out is the answer */
    struct fault why;
};

static void refused(struct work *w, unsigned status)
{
    w->status = status;
}

static unsigned status_of(enum code c)
{
    switch (c) {
    case CODE_NOTFOUND: return 404;
    case CODE_EXISTS: return 409;
    case CODE_USAGE:
    case CODE_LIMIT:
    case CODE_UNSUPPORTED: return 400;
    default: return 503;
    }
}

static void no_such_job(struct work *w)
{
    char said[96];
    (void)FAIL_FG(&w->why, CODE_NOTFOUND, 6133,
                  "there is no job '%s' here. Those there are: fieldgate job list",
                  bytes_escape(bytes_str(w->name), said, sizeof said));
    refused(w, 404);
}

/* NULL: it has been refused. */
static struct jobs *enter(struct work *w)
{
    struct jobs *jobs = flow_enter(w->api->config.flow);
    if (jobs)
        return jobs;
    (void)FAIL_FG(&w->why, CODE_CLOSED, 8005, "the node is stopping");
    refused(w, 503);
    return NULL;
}

/* ---- status ---- */

static void put_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    buf_json(out, bytes_str(text));
}

static void put_watermark(struct buf *out, int64_t ticks)
{
    char text[DATETIME_TEXT + 1];
    if (ticks == INT64_MIN) {
        buf_printf(out, "null");
        return;
    }
    datetime_text(ticks, text);
    buf_printf(out, "\"%s\"", text);
}

static void put_status(void *ctx, const struct job_status *s)
{
    static const char *const states[] = {"running", "blocked", "paused", "stopped"};
    struct buf *out = ctx;
    const struct stream_stats *t = &s->stream;
    buf_printf(out, "%s{", out->at[out->len - 1] == '[' ? "" : ",");
    put_text(out, "name", s->name);
    buf_printf(out, ",\"state\":\"%s\",", states[s->state]);
    put_text(out, "why", s->why);
    buf_printf(out,
               ",\"lag\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"events\":%" PRIu64 ",\"rows\":%" PRIu64
               ",\"published\":%" PRIu64,
               s->lag, t->messages, t->events, t->rows, s->published);
    if (s->behind_us >= 0)
        buf_printf(out, ",\"behind-seconds\":%.3f", (double)s->behind_us / 1e6);
    else
        buf_printf(out, ",\"behind-seconds\":null");
    buf_printf(out,
               ",\"dropped\":{\"malformed\":%" PRIu64 ",\"no-timestamp\":%" PRIu64
               ",\"no-over-value\":%" PRIu64 ",\"late\":%" PRIu64 ",\"early\":%" PRIu64
               ",\"out-of-order\":%" PRIu64 ",\"wrong-type\":%" PRIu64 "}",
               t->malformed, t->no_timestamp, t->no_over_value, t->late, t->early, t->out_of_order,
               t->wrong_type);
    buf_printf(out,
               ",\"state-bytes\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"groups\":%" PRIu64
               ",\"models\":%" PRIu64 ",\"checkpoints\":%" PRIu64 ",\"checkpoint-bytes\":%" PRIu64
               ",\"watermark\":",
               t->state_bytes, t->waiting, t->groups, t->models, s->checkpoints, s->checkpoint_bytes);
    put_watermark(out, t->watermark);
    buf_printf(out, "}");
}

static void list(struct work *w)
{
    struct jobs *jobs = enter(w);
    if (!jobs)
        return;
    buf_printf(&w->out, "{\"jobs\":[");
    (void)jobs_status(jobs, NULL, put_status, &w->out);
    buf_printf(&w->out, "]}\n");
    flow_leave(w->api->config.flow);
}

/* ---- the plan ---- */

static void put_filters(struct buf *out, const struct job_plan *p, uint32_t input)
{
    struct bytes filter;
    buf_printf(out, ",\"filters\":[");
    for (size_t i = 0; job_plan_input_filter(p, input, i, &filter); i++) {
        buf_printf(out, i ? "," : "");
        buf_json(out, filter);
    }
    buf_printf(out, "]}");
}

static void put_seconds(struct buf *out, const char *name, int64_t ticks)
{
    if (ticks == STREAM_LATE_UNLIMITED)
        buf_printf(out, "\"%s\":null,", name);
    else
        buf_printf(out, "\"%s\":%" PRId64 ",", name, ticks / 10000000);
}

static const char *yes(bool is)
{
    return is ? "true" : "false";
}

/* All that it takes to run the same query elsewhere: `job replay` does. */
static void put_query(struct buf *out, const struct job_plan *p)
{
    const struct query_options *o = job_plan_options(p);
    const struct query *q = job_plan_query(p);
    buf_printf(out, ",\"references\":[");
    for (uint32_t i = 0; i < query_references(q); i++) {
        buf_printf(out, "%s{\"name\":", i ? "," : "");
        buf_json(out, query_reference(q, i));
        buf_printf(out, ",");
        put_text(out, "file", job_plan_reference_file(p, i));
        buf_printf(out, "}");
    }
    buf_printf(out, "],\"sql\":");
    buf_json(out, job_plan_sql(p));
    buf_printf(out, ",\"options\":{");
    put_seconds(out, "late", o->late);
    put_seconds(out, "out-of-order", o->out_of_order);
    buf_printf(out, "\"policy\":\"%s\",\"model\":\"%s\",\"warm-up-report\":%s,\"stop-on-error\":%s,",
               o->policy == STREAM_DROP ? "drop" : "adjust", o->model == STREAM_KDE ? "kde" : "fieldgate",
               yes(o->warm_up_report), yes(o->stop_on_error));
    buf_printf(out, "\"lowercase-names\":%s,\"ignore-case\":%s,\"state-bytes\":%" PRIu64 "}", yes(o->lowercase_names),
               yes(o->ignore_case), o->state_bytes);
}

static void put_plan(void *ctx, const struct job_plan *p)
{
    struct work *w = ctx;
    const struct query *q = job_plan_query(p);
    struct buf text = {0};
    buf_printf(&w->out, "{");
    put_text(&w->out, "name", job_plan_name(p));
    buf_printf(&w->out, ",\"inputs\":[");
    for (uint32_t i = 0; i < query_inputs(q); i++) {
        buf_printf(&w->out, "%s{\"name\":", i ? "," : "");
        buf_json(&w->out, query_input(q, i));
        buf_reset(&text);
        job_plan_source(p, i, &text);
        buf_printf(&w->out, ",\"topics\":");
        buf_json(&w->out, buf_bytes(&text));
        put_filters(&w->out, p, i);
    }
    buf_printf(&w->out, "],\"outputs\":[");
    for (uint32_t i = 0; i < query_outputs(q); i++) {
        buf_printf(&w->out, "%s{\"name\":", i ? "," : "");
        buf_json(&w->out, query_output(q, i));
        buf_printf(&w->out, ",\"topic\":");
        buf_json(&w->out, job_plan_target(p, i));
        buf_printf(&w->out, "}");
    }
    buf_reset(&text);
    query_explain(q, &text);
    buf_printf(&w->out, "],\"explain\":");
    buf_json(&w->out, buf_bytes(&text));
    put_query(&w->out, p);
    buf_printf(&w->out, "}\n");
    buf_clear(&text);
}

static void explain(struct work *w)
{
    struct jobs *jobs = enter(w);
    if (!jobs)
        return;
    if (!jobs_plans(jobs, w->name, put_plan, w))
        no_such_job(w);
    flow_leave(w->api->config.flow);
}

/* ---- models ---- */

static void put_number(struct buf *out, const char *name, double v)
{
    if (isfinite(v))
        buf_printf(out, ",\"%s\":%.17g", name, v);
    else
        buf_printf(out, ",\"%s\":null", name);
}

static bool put_model(void *ctx, const struct stream_model_info *m)
{
    struct buf *out = ctx;
    buf_printf(out, "%s{\"key\":", out->at[out->len - 1] == '[' ? "" : ",");
    buf_json(out, m->key);
    buf_printf(out,
               ",\"state\":\"%s\",\"seen\":%" PRIu64 ",\"learned\":%" PRIu32 ",\"of\":%" PRIu32
               ",\"anomalies\":%" PRIu64,
               m->ready ? "ready" : "learning", m->seen, m->learned, m->of, m->anomalies);
    put_number(out, "last", m->last);
    put_number(out, "expected-low", m->low);
    put_number(out, "expected-high", m->high);
    put_number(out, "last-score", m->score);
    buf_printf(out, "}");
    return !out->bad;
}

static void models(struct work *w)
{
    struct jobs *jobs = enter(w);
    if (!jobs)
        return;
    buf_printf(&w->out, "{\"models\":[");
    if (!jobs_models(jobs, w->name, put_model, &w->out))
        no_such_job(w);
    buf_printf(&w->out, "]}\n");
    flow_leave(w->api->config.flow);
}

static void forget(struct work *w)
{
    struct jobs *jobs = enter(w);
    char said[96];
    if (!jobs)
        return;
    enum code c = jobs_forget_model(jobs, w->name, bytes_str(w->key));
    if (c == CODE_AGAIN) {
        (void)FAIL_FG(&w->why, CODE_AGAIN, 6140,
                      "job %s waits for what it has to say to be taken (fieldgate job list), and forgets nothing"
                      " meanwhile: try again later",
                      w->name);
        refused(w, 503);
    } else if (c != CODE_OK) {
        if (w->key[0])
            (void)FAIL_FG(&w->why, CODE_NOTFOUND, 6135, "job %s has no model %s. Those there are: fieldgate job models %s", w->name,
                          bytes_plain(bytes_str(w->key), said, sizeof said), w->name);
        else
            (void)FAIL_FG(&w->why, CODE_NOTFOUND, 6135, "job %s has no model at all", w->name);
        refused(w, 404);
    }
    buf_printf(&w->out, "{}\n");
    flow_leave(w->api->config.flow);
}

/* ---- made and removed ---- */

static void put(struct work *w)
{
    struct bytes sql = buf_bytes(&w->sql);
    enum code code = flow_edit(w->api->config.flow, w->name, &sql, &w->why);
    if (code != CODE_OK)
        refused(w, status_of(code));
    else
        log_info("api", "FG6136 job %s was put in place by a verb", w->name);
    buf_printf(&w->out, "{}\n");
}

static void remove_job(struct work *w)
{
    enum code code = flow_edit(w->api->config.flow, w->name, NULL, &w->why);
    if (code != CODE_OK)
        refused(w, status_of(code));
    else
        log_info("api", "FG6137 job %s was removed by a verb", w->name);
    buf_printf(&w->out, "{}\n");
}

/* ---- requests ---- */

static void on_pool(struct pool_job *job)
{
    struct work *w = (struct work *)job;
    w->run(w);
}

static void let_go(struct work *w)
{
    buf_clear(&w->out);
    buf_clear(&w->sql);
    mem_free(w);
}

static void back(struct pool_job *job, struct loop *here)
{
    struct work *w = (struct work *)job;
    (void)here;
    if (w->status)
        api_refuse(w->x, w->status, &w->why);
    else
        api_answer(w->x, JSON, &w->out);
    let_go(w);
}

static void begin(struct api *a, struct http_exchange *x, const struct http_request *r,
                  void (*run)(struct work *), bool named)
{
    struct fault why;
    struct work *w = a->config.flow && !a->stopping ? mem_zalloc(1, sizeof *w) : NULL;
    if (!w) {
        (void)FAIL_FG(&why, CODE_CLOSED, 8005, "the node is stopping");
        api_refuse(x, 503, &why);
        return;
    }
    *w = (struct work){.job = {on_pool, back},
                       .api = a,
                       .x = x,
                       .run = run};
    w->sql.max = SQL_MAX;
    buf_add_bytes(&w->sql, r->body);
    (void)http_query(r->query, "key", w->key, sizeof w->key);
    bool ok = !named || (http_query(r->query, "name", w->name, sizeof w->name) && job_name_ok(w->name));
    if (!ok)
        (void)FAIL_FG(&why, CODE_USAGE, 8003, "name must be that of a job: letters, digits, - and _, at most 64");
    else if (w->sql.bad)
        (void)FAIL_FG(&why, CODE_LIMIT, 6116, "a query of more than %d KiB (L-SQL)", SQL_MAX / 1024);
    else if (pool_submit(a->config.loop, &w->job) == CODE_OK)
        return;
    else
        (void)FAIL_FG(&why, CODE_AGAIN, 8006, "too much is under way just now: try again");
    api_refuse(x, why.code == CODE_AGAIN ? 503 : 400, &why);
    let_go(w);
}

void jobs_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    bool posts = bytes_is(r->method, "POST");
    begin(a, x, r, posts ? put : list, posts);
}

void jobs_explain_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    begin(a, x, r, explain, true);
}

void jobs_models_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    begin(a, x, r, bytes_is(r->method, "POST") ? forget : models, true);
}

void jobs_remove_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    begin(a, x, r, remove_job, true);
}
