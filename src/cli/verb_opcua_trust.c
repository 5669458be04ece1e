/* verb_opcua_trust.c - `fieldgate opcua trust`: whom this machine believes. Works on the data directory; a running node sees the
 * change by itself. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/api_client.h"
#include "cli/opcua_verbs.h"

#include "opcua/pki.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

enum { FILE_BYTES = 1 << 20 };

struct given {
    struct config_flags config;
    enum output_format format;
    bool users, issuer;
};

struct store {
    struct verb_call *call;
    const struct given *given;
    struct ua_pki   *pki;
    struct ua_trust *users, *trust; /* trust: the one that is meant */
};

static int open_store(struct store *s, struct verb_call *call)
{
    struct api_client place;
    struct fault why;
    char dir[NODE_SOCKET_MAX + 16];
    *s = (struct store){ .call = call, .given = call->values };
    int status = api_client_find(call, &s->given->config, &place);
    if (status != STATUS_DONE)
        return status;
    if (ua_pki_open(&s->pki, call->io, place.data_dir, NULL, &why) != CODE_OK)
        return verb_fail(call, &why);
    s->trust = ua_pki_trust(s->pki);
    if (!s->given->users)
        return STATUS_DONE;
    (void)snprintf(dir, sizeof dir, "%s/opcua/users", place.data_dir);
    if (ua_trust_open(&s->users, call->io, dir, &why) != CODE_OK) {
        ua_pki_close(s->pki);
        return verb_fail(call, &why);
    }
    s->trust = s->users;
    return STATUS_DONE;
}

static void close_store(struct store *s)
{
    ua_trust_close(s->users);
    ua_pki_close(s->pki);
}

/* ---- list ---- */

static const struct column columns[] = {
    { "WHERE", "where", COLUMN_TEXT },   { "NAME", "name", COLUMN_TEXT },   { "SHA1", "sha1", COLUMN_TEXT },
    { "UNTIL", "until", COLUMN_TEXT },   { "KEY", "key", COLUMN_TEXT },     { "APPLICATION", "application", COLUMN_TEXT },
    { "ISSUER", "issuer", COLUMN_TEXT },
};

static void print_one(struct output *o, const char *where, const struct ua_certificate *c)
{
    char text[VALUE_TEXT_MAX], until[16];
    output_text(o, bytes_str(where));
    output_text(o, bytes_str(c->name));
    output_printf(o, "%.16s", c->hex);
    (void)snprintf(until, sizeof until, "%.10s", value_print_time_utc(c->to_s * 1000000, text));
    output_text(o, bytes_str(until));
    output_printf(o, "%u %s", c->bits, c->hash);
    if (c->uri) /* what a stranger wrote: output.h escapes it */
        output_text(o, bytes_str(c->uri));
    else
        output_none(o);
    output_text(o, bytes_str(c->self_issued ? "itself" : c->issuer));
}

struct listing {
    struct output *o;
    unsigned waiting;
};

static void on_entry(void *ctx, const struct ua_trust_entry *e)
{
    struct listing *l = ctx;
    l->waiting += e->place == UA_PLACE_REJECTED;
    if (e->certificate) {
        print_one(l->o, ua_trust_place_names[e->place], e->certificate);
        return;
    }
    output_text(l->o, bytes_str(ua_trust_place_names[e->place]));
    output_text(l->o, bytes_str(e->file));
    for (size_t i = 2; i < sizeof columns / sizeof *columns; i++)
        output_none(l->o);
}

static int list(struct store *s)
{
    struct output o;
    struct listing l = { .o = &o };
    struct fault why;
    output_open(&o, s->call->out, s->given->format, "certificates", columns, sizeof columns / sizeof *columns);
    if (!s->given->users)
        print_one(&o, "own", ua_pki_own(s->pki)->certificate);
    enum code c = ua_trust_list(s->trust, on_entry, &l, &why);
    int closed = output_close(&o);
    if (c != CODE_OK)
        return verb_fail(s->call, &why);
    if (l.waiting && s->given->format == OUTPUT_TABLE)
        verb_warn(s->call, "%u wait%s for a yes: fieldgate opcua trust accept SHA1", l.waiting, l.waiting == 1 ? "s" : "");
    return closed ? STATUS_FAILED : STATUS_DONE;
}

static int run_list(struct verb_call *call)
{
    struct store s;
    int status = open_store(&s, call);
    if (status != STATUS_DONE)
        return status;
    status = list(&s);
    close_store(&s);
    return status;
}

/* ---- accept, reject, remove ---- */

static int change(struct verb_call *call, const char *done,
                  enum code (*what)(struct ua_trust *, struct bytes, char *, struct fault *))
{
    struct store s;
    struct fault why;
    int status = open_store(&s, call);
    if (status != STATUS_DONE)
        return status;
    for (size_t i = 1; i < call->options->args.count && status == STATUS_DONE; i++) {
        char name[UA_SUBJECT_CHARS];
        if (what(s.trust, bytes_str(call->options->args.at[i]), name, &why) == CODE_OK)
            (void)fprintf(call->out, "%s %s\n", name, done);
        else
            status = verb_fail(call, &why);
    }
    close_store(&s);
    return status;
}

static int run_accept(struct verb_call *call)
{
    return change(call, "is trusted", ua_trust_accept);
}

static int run_reject(struct verb_call *call)
{
    return change(call, "is trusted no more", ua_trust_reject);
}

static int run_remove(struct verb_call *call)
{
    return change(call, "is gone", ua_trust_remove);
}

/* ---- add ---- */

static bool is_crl(struct bytes file)
{
    static const char head[] = "-----BEGIN X509 CRL";
    return memmem(file.at, file.len, head, sizeof head - 1) != NULL;
}

static enum code add_file(struct store *s, const char *path, char *name, struct fault *why)
{
    char *text;
    size_t len;
    enum ua_trust_place place = s->given->issuer ? UA_PLACE_ISSUERS : UA_PLACE_TRUSTED;
    enum code c = io_load(s->call->io, path, FILE_BYTES, &text, &len, why);
    if (c != CODE_OK)
        return c;
    struct bytes file = bytes_of(text, len);
    struct fault as_crl;
    c = is_crl(file) ? ua_trust_add_crl(s->trust, place, file, name, why) : ua_trust_add(s->trust, place, file, name, why);
    if (c != CODE_OK && !is_crl(file) && ua_trust_add_crl(s->trust, place, file, name, &as_crl) == CODE_OK)
        c = CODE_OK; /* a list in DER */
    mem_free(text);
    return c;
}

static int run_add(struct verb_call *call)
{
    struct store s;
    struct fault why;
    int status = open_store(&s, call);
    if (status != STATUS_DONE)
        return status;
    for (size_t i = 1; i < call->options->args.count && status == STATUS_DONE; i++) {
        char name[UA_SUBJECT_CHARS];
        if (add_file(&s, call->options->args.at[i], name, &why) == CODE_OK)
            (void)fprintf(call->out, "%s is now %s\n", name, s.given->issuer ? "an issuer that completes chains" : "trusted");
        else
            status = verb_fail(call, &why);
    }
    close_store(&s);
    return status;
}

/* ---- own ---- */

static int run_own(struct verb_call *call)
{
    struct store s;
    int status = open_store(&s, call);
    if (status != STATUS_DONE)
        return status;
    const struct ua_certificate *c = ua_pki_own(s.pki)->certificate;
    X509 *leaf = c->x[0];
    char hosts[512];
    (void)fprintf(call->err, "%s\n  SHA1         %s\n  application  %s\n  hosts        %s\n", c->subject, c->hex, c->uri ? c->uri : "-",
                  ua_certificate_hosts(c, hosts, sizeof hosts));
    (void)fflush(call->err);
    if (!PEM_write_X509(call->out, leaf))
        status = STATUS_FAILED;
    close_store(&s);
    return status;
}

/* ---- the verb ---- */

static const struct {
    const char *name;
    bool        wants; /* what it is about, behind it */
    int (*run)(struct verb_call *);
} ways[] = {
    { "list", false, run_list },   { "accept", true, run_accept }, { "reject", true, run_reject },
    { "rm", true, run_remove },    { "add", true, run_add },       { "own", false, run_own },
};

static int run(struct verb_call *call)
{
    const struct texts *args = &call->options->args;
    const char *way = args->count ? args->at[0] : "list";
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (strcmp(way, ways[i].name) != 0)
            continue;
        if (ways[i].wants != (args->count > 1))
            return ways[i].wants ? verb_usage(call, "%s what? %s", way, ways[i].run == run_add ? "Name a file" : "Name a certificate by its SHA1 or name, as list shows it")
                                 : verb_usage(call, "nothing may stand behind %s", way);
        return ways[i].run(call);
    }
    return verb_usage(call, "there is no 'trust %.40s'; there are: list, accept, reject, rm, add, own", way);
}

static const struct flag flags[] = {
    { 0, "users", FLAG_SWITCH, FLAG_FIELD(struct given, users), .help = "people who sign in by certificate at our own server" },
    { 0, "issuer", FLAG_SWITCH, FLAG_FIELD(struct given, issuer), .help = "add: a CA that completes chains and is not trusted itself" },
    FLAG_OUTPUT(struct given, format),
    CONFIG_FLAGS(struct given, config),
    FLAGS_END,
};

const struct verb opcua_trust = {
    .name = "trust",
    .group = "field",
    .summary = "whom we believe: list, accept, reject, rm, add, own",
    .detail = "list (without a word, too): our certificate, who is trusted, and who waits in the inbox for a yes.\n"
              "accept SHA1|NAME: trusts one of the inbox. Compare its SHA1 with what the machine itself shows first.\n"
              "reject SHA1|NAME: trusts it no more; it goes to the inbox. rm SHA1|NAME: forgets it.\n"
              "add FILE: trusts a certificate, a CA and all whom it certifies; or takes a CA's list of what it has revoked.\n"
              "own: prints our certificate (PEM), for the machine's own list.\n"
              "A running node sees the change by itself.",
    .examples = { "fieldgate opcua trust list", "fieldgate opcua trust accept 7712AB34", "fieldgate opcua trust add plant-ca.pem plant-ca.crl" },
    .args = "[list|accept|reject|rm|add|own] [SHA1|NAME|FILE...]",
    .args_max = 100,
    .flags = flags,
    .values_size = sizeof(struct given),
    .run = run,
};
