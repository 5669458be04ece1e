/* verb_mqtttest.c - `fieldgate mqtt-test`: what a broker can do, and whether it does it as the standard says. (A file whose name
 * ends in _test.c would be a unit test.) */
#include "base/mem.h"
#include "cli/mqtt_checks.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"

#include <stdio.h>

struct mqtt_test {
    struct mqtt_target target;
    bool failed_only;
    const char *only;
    int format;
};

static const char *const formats[] = {"text", "json", NULL};

static const struct flag flags[] = {
    {0, "only", FLAG_TEXT, FLAG_FIELD(struct mqtt_test, only), .value = "WORD",
     .help = "only rows whose name contains it"},
    {0, "failed", FLAG_SWITCH, FLAG_FIELD(struct mqtt_test, failed_only), .help = "print only what failed"},
    {'o', "output", FLAG_CHOICE, FLAG_FIELD(struct mqtt_test, format), .value = "FORMAT", .words = formats,
     .def = "text", .help = "text or json"},
    MQTT_PLACE_FLAGS(struct mqtt_test, target),
    FLAGS_END,
};

static const struct mqtt_check *const suites[] = {mqtt_checks_basic, mqtt_checks_session, mqtt_checks_v5,
                                                  mqtt_checks_hostile};

struct test_run {
    struct verb_call *call;
    const struct mqtt_test *test;
    struct probe_world world;
    const char *group; /* the last one printed */
    unsigned ok, failed, not_offered;
    struct buf json;
};

static void print_row(struct test_run *r, const struct mqtt_check *c, enum output_mark mark, const char *said)
{
    FILE *out = r->call->out;
    if (r->test->failed_only && mark != MARK_BAD)
        return;
    if (!r->group || strcmp(r->group, c->group) != 0)
        (void)fprintf(out, "%s\n", c->group);
    r->group = c->group;
    (void)fprintf(out, "  ");
    output_mark(out, mark);
    (void)fprintf(out, "  %-27s %s\n", c->name, said);
    (void)fflush(out); /* some take seconds */
}

static void put_row(struct test_run *r, const struct mqtt_check *c, enum output_mark mark, const char *said)
{
    const char *result = mark == MARK_OK ? "ok" : mark == MARK_BAD ? "failed" : "not offered";
    if (r->test->failed_only && mark != MARK_BAD)
        return;
    buf_printf(&r->json, "%s\n{\"group\":\"%s\",\"name\":\"%s\",\"result\":\"%s\",\"said\":",
               buf_size(&r->json) ? "," : "", c->group, c->name, result);
    buf_json(&r->json, bytes_str(said));
    buf_u8(&r->json, '}');
}

static void run_check(struct test_run *r, const struct mqtt_check *c)
{
    struct check_run check = {.world = &r->world};
    struct fault why = {0};
    enum code code = c->run(&check, &why);
    enum output_mark mark = code == CODE_OK ? MARK_OK : code == CODE_UNSUPPORTED ? MARK_NOT_TRIED : MARK_BAD;
    probe_clear(&r->world);
    r->ok += mark == MARK_OK;
    r->failed += mark == MARK_BAD;
    r->not_offered += mark == MARK_NOT_TRIED;
    const char *said = mark == MARK_OK ? check.said : why.text;
    if (r->test->format)
        put_row(r, c, mark, said);
    else
        print_row(r, c, mark, said);
}

/* One connection before the rows: nobody there is not a broker that fails everything. */
static enum code knock(struct test_run *r, struct fault *why)
{
    struct probe *p;
    enum code c = CODE_OK;
    static const enum mqtt_version versions[] = {MQTT_5, MQTT_3_1_1, MQTT_3_1};
    for (size_t i = 0; i < 3; i++) {
        c = probe_open(&r->world, &(struct greeting){.version = versions[i]}, &p, why);
        probe_clear(&r->world);
        if (c == CODE_OK || !p)
            break;
    }
    return c;
}

static int go(struct test_run *r, const struct mqtt_client_settings *target)
{
    char place[MQTT_HOST_MAX + 8];
    struct fault why;
    (void)mqtt_target_place(target, place);
    enum code c = knock(r, &why);
    if (c != CODE_OK)
        return mqtt_target_fail(r->call, &why);
    for (size_t s = 0; s < sizeof suites / sizeof suites[0]; s++)
        for (const struct mqtt_check *k = suites[s]; k->name; k++)
            if (!r->test->only || strstr(k->name, r->test->only))
                run_check(r, k);
    if (r->ok + r->failed + r->not_offered == 0)
        return verb_usage(r->call, "--only %s: no row has that in its name", r->test->only);
    if (r->test->format) {
        (void)fprintf(r->call->out,
                      "{\"version\":1,\"broker\":\"%s\",\"ok\":%u,\"failed\":%u,\"notOffered\":%u,\"rows\":[",
                      place, r->ok, r->failed, r->not_offered);
        if (buf_size(&r->json))
            (void)fwrite(r->json.at + r->json.from, 1, buf_size(&r->json), r->call->out);
        (void)fprintf(r->call->out, "\n]}\n");
    } else {
        (void)fprintf(r->call->out, "%s: %u ok, %u failed, %u not offered\n", place, r->ok, r->failed,
                      r->not_offered);
    }
    return r->failed ? STATUS_FAILED : STATUS_DONE;
}

static int with_settings(struct verb_call *call, const struct mqtt_client_settings *settings)
{
    struct test_run r = {.call = call, .test = call->values, .world = {.target = settings}};
    struct fault why;
    uint32_t draw;
    call->io->random(call->io->self, &draw, sizeof draw);
    (void)snprintf(r.world.run, sizeof r.world.run, "%06x", draw & 0xffffff);
    if (loop_open_uv(&r.world.loop, &why) != CODE_OK)
        return verb_fail(call, &why);
    int status = go(&r, settings);
    probe_clear(&r.world);
    loop_close(r.world.loop);
    buf_clear(&r.json);
    return status;
}

static int run(struct verb_call *call)
{
    struct mqtt_test *t = call->values;
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = {0};
    if (call->options->args.count && options_given(call->options, "host"))
        return verb_usage(call, "the broker is named twice: '%s' and -h %s", call->options->args.at[0],
                          t->target.host);
    if (options_given(call->options, "protocol-version"))
        return verb_usage(call, "-V: each row has its version; choose rows with --only WORD");
    if (call->options->args.count)
        t->target.host = call->options->args.at[0];
    int status = mqtt_target_settings(call, &t->target, &settings, &memory);
    if (status == STATUS_DONE)
        status = with_settings(call, &settings);
    mqtt_target_clear(&memory);
    return status;
}

const struct verb verb_mqtt_test = {
    .name = "mqtt-test",
    .group = "messages",
    .summary = "what a broker can do, and whether it does it as the standard says",
    .examples = {"fieldgate mqtt-test", "fieldgate mqtt-test broker.lan:1883 -u test -P @password",
                 "fieldgate mqtt-test mqtts://broker.lan -o json"},
    .detail = "ok: it does it. xx: it does it wrongly. --: it says that it does not, or a broker need not. "
              "Takes about 20 s. Topics are\n"
              "below fieldgate-test/, with names that nobody used before; what it keeps on the broker it "
              "removes again.\n"
              "Exit status: 0 nothing failed; 1 something did; 2 wrong usage; 3 no broker there.",
    .args = "[HOST[:PORT]]",
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct mqtt_test),
    .run = run,
};
