/* verb_sensor.c - `fieldgate sensor`: the sensors of this machine, or a simulated one, as an OPC UA server. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/api_client.h"
#include "cli/interrupt.h"
#include "cli/machine_server.h"
#include "cli/secret.h"
#include "cli/verbs.h"
#include "identity/crypto.h"
#include "net/pool.h"
#include "opcua/pki.h"
#include "sensor/machine.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { USERS_MAX = 32, LOOK_MS = 50, TRIES = 3, ADDRESSES_MAX = 16 };

struct sensor_flags {
    struct config_flags config;
    struct texts at, users, limits;
    const char  *name, *device, *sys, *run_file;
    uint64_t     interval_us, for_us, seed;
    uint32_t     disturb_every;
    double       step;
    bool         simulate, list, insecure, accept_any, quiet;
    enum output_format format;
};

struct user {
    const char  *name;
    struct bytes password;
};

struct sensor {
    struct verb_call *call;
    const struct sensor_flags *given;
    struct loop      *loop;
    struct timer      next, look, end;
    struct ua_pki    *pki;
    struct ua_trust  *users_trust; /* who may sign in with a certificate */
    struct ua_server *server;
    struct machine_server *machine_server;
    struct machine    machine;     /* the simulated one */
    struct user       users[USERS_MAX];
    size_t            user_count;
    bool              local;       /* nobody but this machine can reach it */
    /* hardware */
    struct sensor_channel channels[SENSOR_CHANNELS_MAX];
    unsigned          numbers[SENSOR_CHANNELS_MAX];
    size_t            channel_count;
    struct pool_job   job;
    bool              reading;
    double            values[SENSOR_CHANNELS_MAX];
    enum code         codes[SENSOR_CHANNELS_MAX];
    bool              said_bad[SENSOR_CHANNELS_MAX];
    uint64_t          count;
};

static void say(const struct sensor *s, const char *text)
{
    char time[VALUE_TEXT_MAX];
    if (s->given->quiet)
        return;
    (void)fprintf(s->call->out, "%s  %s\n", value_print_clock(s->call->io->wall_us(s->call->io->self), time), text);
    (void)fflush(s->call->out);
}

/* ---- Run ---- */

/* A pin, an LED: what is told to hardware as the kernel has it, "1" or "0" in a file. */
static bool on_run(void *ctx, bool run)
{
    struct sensor *s = ctx;
    const struct io *io = s->call->io;
    if (s->given->run_file) {
        int file = io->open(io->self, s->given->run_file, IO_WRITE);
        int64_t n = file < 0 ? file : io_write_all(io, file, run ? "1" : "0", 1, 0);
        if (file >= 0)
            io->close(io->self, file);
        if (n < 0) {
            struct fault why;
            (void)FAIL_SYS(&why, CODE_IO, (int)-n, "cannot write %s to %s", run ? "1" : "0", s->given->run_file);
            verb_warn(s->call, "%s", why.text);
            return false;
        }
    }
    if (run != machine_server_runs(s->machine_server))
        say(s, run ? "Run is true: the machine runs" : "Run is false: the machine stands still");
    return true;
}

/* ---- readings: simulated ---- */

static void set_simulated(struct sensor *s)
{
    struct reading r;
    char text[128];
    static const char *const notes[] = { [MACHINE_CALM] = "", [MACHINE_HOT] = "   (planted: hot spell)",
                                         [MACHINE_HUMID] = "   (planted: humidity spike)", [MACHINE_DRY] = "   (planted: humidity dip)" };
    if (!machine_server_runs(s->machine_server)) {
        /* It stands still and cools down to the room it stands in: nothing is disturbed any more. */
        machine_server_set(s->machine_server, 0, 20);
        machine_server_set(s->machine_server, 1, 40);
        return;
    }
    machine_read(&s->machine, &r);
    machine_server_set(s->machine_server, 0, r.temperature);
    machine_server_set(s->machine_server, 1, r.humidity);
    if (r.disturbed != MACHINE_CALM) {
        (void)snprintf(text, sizeof text, "Temperature %g, Humidity %g%s", r.temperature, r.humidity, notes[r.disturbed]);
        say(s, text);
    }
}

/* ---- readings: of the machine; on the pool ---- */

static void read_all(struct pool_job *job)
{
    struct sensor *s = (struct sensor *)(void *)((char *)job - offsetof(struct sensor, job));
    for (size_t i = 0; i < s->channel_count; i++) {
        s->codes[i] = CODE_IO;
        for (int k = 0; k < TRIES && s->codes[i] == CODE_IO; k++)
            s->codes[i] = sensor_read(s->call->io, &s->channels[i], &s->values[i], NULL);
    }
}

static void all_read(struct pool_job *job, struct loop *here)
{
    struct sensor *s = (struct sensor *)(void *)((char *)job - offsetof(struct sensor, job));
    (void)here;
    s->reading = false;
    if (!s->machine_server)
        return;
    for (size_t i = 0; i < s->channel_count; i++) {
        bool bad = s->codes[i] != CODE_OK;
        if (!bad)
            machine_server_set(s->machine_server, s->numbers[i], s->values[i]);
        else
            machine_server_fail(s->machine_server, s->numbers[i],
                                s->codes[i] == CODE_NOTFOUND ? UA_BAD_NOT_CONNECTED : UA_BAD_SENSOR_FAILURE);
        if (bad && !s->said_bad[i])
            verb_warn(s->call, "%s of %s does not answer (%s); it is tried again each time", s->channels[i].name, s->channels[i].device,
                      s->channels[i].path);
        s->said_bad[i] = bad;
    }
}

static void on_next(struct timer *t)
{
    struct sensor *s = (struct sensor *)(void *)((char *)t - offsetof(struct sensor, next));
    timer_start(s->loop, t, (int64_t)(s->given->interval_us / 1000), on_next);
    s->count++;
    if (s->given->simulate) {
        set_simulated(s);
        return;
    }
    if (s->reading) /* slower than the interval */
        return;
    s->job = (struct pool_job){ read_all, all_read };
    s->reading = pool_submit(s->loop, &s->job) == CODE_OK;
}

/* ---- who may ---- */

static bool password_is(const struct user *u, struct bytes password)
{
    uint8_t a[SHA256_BYTES], b[SHA256_BYTES];
    bool good = crypto_sha256(u->password, a) && crypto_sha256(password, b) && crypto_equal(a, b);
    crypto_wipe(a, sizeof a);
    crypto_wipe(b, sizeof b);
    return good;
}

static bool known_user(const struct sensor *s, struct bytes name, struct bytes password)
{
    bool found = false;
    for (size_t i = 0; i < s->user_count; i++) {
        bool its_own = password_is(&s->users[i], password); /* of every user, so that the time tells nothing */
        found = (its_own && bytes_is(name, s->users[i].name)) || found;
    }
    return found;
}

static void on_user(void *ctx, struct ua_user_ask *ask)
{
    struct sensor *s = ctx;
    struct ua_server_user user = { .kind = (uint8_t)ask->kind };
    ua_status status = UA_GOOD;
    if (ask->kind == UA_USER_ANONYMOUS) {
        user.may_write = user.may_call = s->local || s->given->insecure;
        (void)snprintf(user.name, sizeof user.name, "anonymous");
    } else if (ask->kind == UA_USER_NAME) {
        user.may_write = user.may_call = known_user(s, ask->name, ask->password);
        status = user.may_write ? UA_GOOD : UA_BAD_USER_ACCESS_DENIED;
        (void)bytes_escape(ask->name, user.name, sizeof user.name);
    } else {
        struct fault why;
        struct ua_trust_question q = { .kind = UA_PEER_USER, .who = ask->address, .wall_us = s->call->io->wall_us(s->call->io->self) };
        status = ua_trust_verify(s->users_trust, ask->certificate, &q, &why);
        if (ua_is_bad(status)) {
            verb_warn(s->call, "%s", why.text);
            status = UA_BAD_IDENTITY_TOKEN_REJECTED;
        }
        user.may_write = user.may_call = !ua_is_bad(status);
        (void)snprintf(user.name, sizeof user.name, "%.120s", ask->certificate->name);
    }
    ua_user_answer(ask, status, &user);
}

static ua_status on_verify(void *ctx, struct ua_certificate *peer, struct fault *why)
{
    struct sensor *s = ctx;
    struct ua_trust_question q = { .kind = UA_PEER_CLIENT, .who = "client", .wall_us = s->call->io->wall_us(s->call->io->self),
                                   .accept_any = s->given->accept_any };
    return ua_trust_verify(ua_pki_trust(s->pki), peer, &q, why);
}

static enum code read_users(struct sensor *s, struct fault *why)
{
    const struct texts *users = &s->given->users;
    enum code c = CODE_OK;
    if (users->count > USERS_MAX)
        return FAIL(why, CODE_USAGE, 0, "at most %d users", USERS_MAX);
    for (size_t i = 0; c == CODE_OK && i < users->count; i++) {
        const char *equals = strchr(users->at[i], '=');
        char *name = equals && equals > users->at[i] ? mem_strndup(users->at[i], (size_t)(equals - users->at[i])) : NULL;
        if (!name)
            return FAIL(why, CODE_USAGE, 0, "--user is written NAME=@FILE: the password is in the file");
        s->users[s->user_count].name = name;
        c = secret_read(s->call, equals + 1, name, &s->users[s->user_count++].password, why);
    }
    return c;
}

/* ---- limits ---- */

static enum code read_limits(const struct texts *given, struct ua_server_limits *l, struct fault *why)
{
    const struct {
        const char *name;
        uint32_t   *to;
    } all[] = { { "channels", &l->channels },           { "sessions", &l->sessions },
                { "subscriptions", &l->subscriptions }, { "kept-subscriptions", &l->kept_subscriptions },
                { "items", &l->items },                 { "publish-requests", &l->publish_requests },
                { "operations", &l->operations },       { "continuation-points", &l->continuation_points },
                { "queue", &l->queue },                 { "connect-seconds", &l->connect_s },
                { "session-ms-min", &l->session_ms_min }, { "session-ms-max", &l->session_ms_max } };
    for (size_t i = 0; i < given->count; i++) {
        const char *equals = strchr(given->at[i], '=');
        size_t k = 0, n = sizeof all / sizeof *all;
        while (equals && k < n && !(strlen(all[k].name) == (size_t)(equals - given->at[i]) && !strncmp(given->at[i], all[k].name, strlen(all[k].name))))
            k++;
        char *end = NULL;
        unsigned long v = equals && k < n ? strtoul(equals + 1, &end, 10) : 0;
        if (!equals || k == n || !v || v > UINT32_MAX || *end)
            return FAIL(why, CODE_USAGE, 0,
                        "--limit '%.60s' is none: write sessions=100; there are channels, sessions, subscriptions, kept-subscriptions, items, "
                        "publish-requests, operations, continuation-points, queue, connect-seconds, session-ms-min, session-ms-max",
                        given->at[i]);
        *all[k].to = (uint32_t)v;
    }
    return CODE_OK;
}

/* ---- the server ---- */

/* "opc.tcp://127.0.0.1:4840/" or "127.0.0.1:4840"; without a port 4840. */
static void address_of(const char *given, char out[160])
{
    const char *from = !strncmp(given, "opc.tcp://", 10) ? given + 10 : given;
    size_t n = strcspn(from, "/");
    const char *bracket = memchr(from, ']', n);
    bool port = memchr(bracket ? bracket : from, ':', bracket ? n - (size_t)(bracket - from) : n) != NULL;
    (void)snprintf(out, 160, "%.*s%s", n < 140 ? (int)n : 140, from, port ? "" : ":4840");
}

static bool is_loopback(const char *address)
{
    return !strncmp(address, "127.", 4) || !strncmp(address, "[::1]", 5) || !strncmp(address, "localhost:", 10);
}

static void offers(const struct sensor *s, uint8_t out[UA_POLICY_COUNT])
{
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++)
        out[p] = p == UA_POLICY_NONE ? (s->local || s->given->insecure ? 1 << UA_MODE_NONE : 0)
                                     : 1 << UA_MODE_SIGN | 1 << UA_MODE_SIGN_AND_ENCRYPT;
}

static enum code open_server(struct sensor *s, struct fault *why)
{
    static const char *const here[] = { "127.0.0.1:4840" };
    const struct texts *at = &s->given->at;
    char address[ADDRESSES_MAX][160];
    size_t n = at->count ? at->count : 1;
    if (n > ADDRESSES_MAX)
        return FAIL(why, CODE_USAGE, 0, "at most %d addresses", ADDRESSES_MAX);
    s->local = true;
    for (size_t i = 0; i < n; i++) {
        address_of(at->count ? at->at[i] : here[i], address[i]);
        s->local = s->local && is_loopback(address[i]);
    }
    struct ua_server_options o = {
        .loop = s->loop,
        .io = s->call->io,
        .application_uri = ua_pki_uri(s->pki),
        .application_name = s->given->name,
        .product_uri = "urn:fieldgate",
        .product_name = "Fieldgate sensor",
        .manufacturer = "Fieldgate",
        .version = FG_VERSION,
        .build = FG_VERSION,
        .own = ua_pki_own(s->pki),
        .anonymous = true,
        .user_names = s->user_count > 0,
        .certificates = true,
        .users = { on_user, s },
        .verify = on_verify,
        .verify_ctx = s,
    };
    offers(s, o.offers);
    enum code c = read_limits(&s->given->limits, &o.limits, why);
    if (c == CODE_OK)
        c = ua_server_open(&s->server, &o, why);
    for (size_t i = 0; c == CODE_OK && i < n; i++)
        c = ua_server_listen(s->server, address[i], why);
    if (c == CODE_OK) {
        size_t host = strlen(address[0]) - strlen(strrchr(address[0], ':'));
        (void)fprintf(s->call->out, "opc.tcp://%.*s:%u  %s: ", (int)host, address[0], ua_server_port(s->server), s->given->name);
    }
    return c;
}

/* ---- the sensors ---- */

static bool wanted(const struct sensor *s, const struct sensor_channel *c)
{
    return !s->given->device || !strcmp(s->given->device, c->device);
}

static enum code find_sensors(struct sensor *s, struct fault *why)
{
    size_t n = sensor_scan(s->call->io, s->given->sys, s->channels, SENSOR_CHANNELS_MAX);
    for (size_t i = 0; i < n; i++)
        if (wanted(s, &s->channels[i]))
            s->channels[s->channel_count++] = s->channels[i];
    if (s->channel_count)
        return CODE_OK;
    if (s->given->device)
        return FAIL(why, CODE_NOTFOUND, 0, "there is no sensor '%s'; fieldgate sensor --list shows all there are", s->given->device);
    return FAIL(why, CODE_NOTFOUND, 0,
                "this machine has no sensors (%s/bus/iio, %s/class/hwmon). For a DHT11 on GPIO 4: dtoverlay=dht11,gpiopin=4; or --simulate",
                s->given->sys, s->given->sys);
}

/* Two devices with a "Temperature" each: the device's name goes in front. */
static void full_name(const struct sensor *s, size_t i, char out[2 * SENSOR_NAME + 2])
{
    bool twice = false;
    for (size_t k = 0; k < s->channel_count; k++)
        twice = twice || (k != i && !strcmp(s->channels[k].name, s->channels[i].name));
    (void)snprintf(out, 2 * SENSOR_NAME + 2, "%s%s%s", twice ? s->channels[i].device : "", twice ? " " : "", s->channels[i].name);
}

static enum code add_variables(struct sensor *s, struct fault *why)
{
    unsigned ignored;
    enum code c = CODE_OK;
    if (s->given->simulate) {
        c = machine_server_add(s->machine_server, "Temperature", SENSOR_TEMPERATURE, &ignored, why);
        if (c == CODE_OK)
            c = machine_server_add(s->machine_server, "Humidity", SENSOR_HUMIDITY, &ignored, why);
        (void)fprintf(s->call->out, "Temperature, Humidity (simulated)");
    }
    for (size_t i = 0; c == CODE_OK && i < s->channel_count; i++) {
        char name[2 * SENSOR_NAME + 2];
        full_name(s, i, name);
        c = machine_server_add(s->machine_server, name, s->channels[i].quantity, &s->numbers[i], why);
        (void)fprintf(s->call->out, "%s%s", i ? ", " : "", name);
    }
    (void)fputs(", Run, Stop(), Start()\n", s->call->out);
    (void)fflush(s->call->out);
    return c;
}

static int list(struct sensor *s)
{
    static const struct column columns[] = { { "DEVICE", "device", COLUMN_TEXT }, { "NAME", "name", COLUMN_TEXT },
                                             { "VALUE", "value", COLUMN_NUMBER }, { "UNIT", "unit", COLUMN_TEXT },
                                             { "FILE", "file", COLUMN_TEXT } };
    struct output o;
    size_t n = sensor_scan(s->call->io, s->given->sys, s->channels, SENSOR_CHANNELS_MAX);
    output_open(&o, s->call->out, s->given->format, "sensors", columns, 5);
    for (size_t i = 0; i < n; i++) {
        double v;
        if (!wanted(s, &s->channels[i]))
            continue;
        output_text(&o, bytes_str(s->channels[i].device));
        output_text(&o, bytes_str(s->channels[i].name));
        if (sensor_read(s->call->io, &s->channels[i], &v, NULL) == CODE_OK)
            output_decimal(&o, v, 2);
        else
            output_none(&o);
        output_text(&o, bytes_str(sensor_units[s->channels[i].quantity].symbol));
        output_text(&o, bytes_str(s->channels[i].path));
    }
    return output_close(&o) ? STATUS_FAILED : STATUS_DONE;
}

/* ---- running ---- */

static void on_look(struct timer *t)
{
    struct sensor *s = (struct sensor *)(void *)((char *)t - offsetof(struct sensor, look));
    if (interrupts)
        loop_stop(s->loop);
    else
        timer_start(s->loop, t, LOOK_MS, on_look);
}

static void on_end(struct timer *t)
{
    struct sensor *s = (struct sensor *)(void *)((char *)t - offsetof(struct sensor, end));
    loop_stop(s->loop);
}

static enum code open_pki(struct sensor *s, struct fault *why)
{
    struct api_client place;
    char users[NODE_SOCKET_MAX + 16];
    if (api_client_find(s->call, &s->given->config, &place) != STATUS_DONE)
        return FAIL(why, CODE_USAGE, 0, "no data directory");
    enum code c = ua_pki_open(&s->pki, s->call->io, place.data_dir, NULL, why);
    (void)snprintf(users, sizeof users, "%s/opcua/users", place.data_dir);
    return c == CODE_OK ? ua_trust_open(&s->users_trust, s->call->io, users, why) : c;
}

static enum code open_all(struct sensor *s, struct fault *why)
{
    static const struct machine_server_events events = { on_run };
    enum code c = read_users(s, why);
    if (c == CODE_OK && !s->given->simulate)
        c = find_sensors(s, why);
    if (c == CODE_OK)
        c = open_pki(s, why);
    if (c == CODE_OK)
        c = loop_open_uv(&s->loop, why);
    if (c == CODE_OK)
        c = open_server(s, why);
    if (c == CODE_OK)
        c = machine_server_open(&s->machine_server, s->server, s->given->name, &events, s, why);
    return c == CODE_OK ? add_variables(s, why) : c;
}

static void close_all(struct sensor *s)
{
    machine_server_close(s->machine_server);
    s->machine_server = NULL;
    if (s->server)
        ua_server_close(s->server);
    if (s->loop)
        loop_close(s->loop);
    ua_trust_close(s->users_trust);
    ua_pki_close(s->pki);
    for (size_t i = 0; i < s->user_count; i++) {
        mem_free((void *)(uintptr_t)s->users[i].name);
        secret_free(s->users[i].password);
    }
}

static int run(struct verb_call *call)
{
    const struct sensor_flags *g = call->values;
    struct fault why;
    struct sensor *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return STATUS_FAILED;
    s->call = call;
    s->given = g;
    machine_init(&s->machine, &(struct machine_config){ .seed = g->seed, .disturb_every = g->disturb_every, .temperature_step = g->step,
                                                        .humidity_step = g->step });
    int status = STATUS_DONE;
    if (g->list) {
        status = list(s);
    } else if (open_all(s, &why) != CODE_OK) {
        status = verb_fail(call, &why);
    } else {
        interrupt_watch();
        timer_start(s->loop, &s->next, 0, on_next);
        timer_start(s->loop, &s->look, LOOK_MS, on_look);
        if (g->for_us)
            timer_start(s->loop, &s->end, (int64_t)(g->for_us / 1000), on_end);
        loop_run(s->loop);
    }
    close_all(s);
    mem_free(s);
    return status;
}

static const struct flag flags[] = {
    { 0, "at", FLAG_TEXTS, FLAG_FIELD(struct sensor_flags, at), .value = "ADDRESS",
      .help = "where to listen: opc.tcp://127.0.0.1:4840 (default), [::]:4840; may be repeated" },
    { 0, "name", FLAG_TEXT, FLAG_FIELD(struct sensor_flags, name), .value = "NAME", .def = "press-1", .help = "the machine's name" },
    { 0, "simulate", FLAG_SWITCH, FLAG_FIELD(struct sensor_flags, simulate), .help = "a DHT11 that is not there" },
    { 0, "device", FLAG_TEXT, FLAG_FIELD(struct sensor_flags, device), .value = "NAME", .help = "only this one, as --list shows it" },
    { 0, "list", FLAG_SWITCH, FLAG_FIELD(struct sensor_flags, list), .help = "print the sensors of this machine and their readings" },
    { 0, "interval", FLAG_DURATION, FLAG_FIELD(struct sensor_flags, interval_us), .value = "TIME", .min = 10000,
      .max = UINT64_C(86400000000), .def = "1s", .help = "time between readings (a DHT11 wants 2s)" },
    { 0, "run-file", FLAG_TEXT, FLAG_FIELD(struct sensor_flags, run_file), .value = "FILE",
      .help = "Run is written here as 1 or 0: a GPIO's value, an LED's brightness" },
    { 0, "user", FLAG_TEXTS, FLAG_FIELD(struct sensor_flags, users), .value = "NAME=@FILE",
      .help = "who may write and call; the password is in FILE; may be repeated" },
    { 0, "insecure", FLAG_SWITCH, FLAG_FIELD(struct sensor_flags, insecure),
      .help = "other machines may connect without security, and anonymous ones may write" },
    { 0, "accept-any", FLAG_SWITCH, FLAG_FIELD(struct sensor_flags, accept_any), .help = "believe any client's certificate (unsafe)" },
    { 0, "limit", FLAG_TEXTS, FLAG_FIELD(struct sensor_flags, limits), .value = "NAME=N", .help = "such as sessions=100; may be repeated" },
    { 0, "disturb-every", FLAG_COUNT, FLAG_FIELD(struct sensor_flags, disturb_every), .value = "N", .def = "60",
      .help = "simulated: readings between planted disturbances, 0 = none" },
    { 0, "step", FLAG_DECIMAL, FLAG_FIELD(struct sensor_flags, step), .value = "STEP", .def = "1",
      .help = "simulated: resolution in degrees and %" },
    { 0, "seed", FLAG_COUNT, FLAG_FIELD(struct sensor_flags, seed), .value = "N", .def = "1", .help = "simulated: same seed, same readings" },
    { 0, "for", FLAG_DURATION, FLAG_FIELD(struct sensor_flags, for_us), .value = "TIME", .help = "end after so long" },
    { 0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct sensor_flags, quiet), .help = "print only the address" },
    { 0, "sys", FLAG_TEXT, FLAG_FIELD(struct sensor_flags, sys), .value = "DIR", .def = "/sys", .help = "instead of /sys", .hidden = true },
    FLAG_OUTPUT(struct sensor_flags, format),
    CONFIG_FLAGS(struct sensor_flags, config),
    FLAGS_END,
};

const struct verb verb_sensor = {
    .name = "sensor",
    .group = "field",
    .summary = "the sensors of this machine, or a simulated one, as an OPC UA server",
    .detail = "Serves below Objects a machine with its sensors, a variable Run, and the methods Stop() and Start(). Sensors are those that\n"
              "Linux knows: IIO (DHT11, DHT22, BME280, ADCs) and hwmon. On addresses of this machine alone anybody may read, write and\n"
              "call; on others without --insecure clients need a trusted certificate (fieldgate opcua trust), and to write a --user.\n"
              "The first line printed is the address.",
    .examples = { "fieldgate sensor --simulate", "fieldgate sensor --list",
                  "fieldgate sensor --at '[::]:4840' --device dht11@4 --interval 2s --user operator=@password" },
    .flags = flags,
    .values_size = sizeof(struct sensor_flags),
    .run = run,
};
