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
    bool users, issuer, own;
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
    for (size_t i = 0; i < call->options->args.count && status == STATUS_DONE; i++) {
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
    for (size_t i = 0; i < call->options->args.count && status == STATUS_DONE; i++) {
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

/* ---- the verbs ---- */

#define USERS_FLAG                                                                                        \
    { 0, "users", FLAG_SWITCH, FLAG_FIELD(struct given, users), .help = "people who sign in by certificate at our own server" }
#define STORE_FLAGS USERS_FLAG, CONFIG_FLAGS(struct given, config), FLAGS_END

static const struct flag list_flags[] = { FLAG_OUTPUT(struct given, format), STORE_FLAGS };
static const struct flag change_flags[] = { STORE_FLAGS };
static const struct flag add_flags[] = {
    { 0, "issuer", FLAG_SWITCH, FLAG_FIELD(struct given, issuer),
      .help = "a CA that completes chains and is not trusted itself" },
    STORE_FLAGS
};
static const struct flag own_flags[] = { CONFIG_FLAGS(struct given, config), FLAGS_END };

static const struct verb trust_list = {
    .name = "list",
    .group = "field",
    .summary = "our certificate, who is trusted, and who waits for a yes",
    .examples = { "fieldgate opcua trust list", "fieldgate opcua trust list -o json", "fieldgate opcua trust list --users" },
    .flags = list_flags,
    .values_size = sizeof(struct given),
    .run = run_list,
};
static const struct verb trust_accept = {
    .name = "accept",
    .group = "field",
    .summary = "trust a certificate that waits in the inbox",
    .detail = "Compare its SHA1 with what the machine itself shows first.",
    .examples = { "fieldgate opcua trust accept 7712AB", "fieldgate opcua trust accept 'press-1'", "fieldgate opcua trust accept 7712AB --users" },
    .args = "SHA1|NAME...",
    .args_min = 1,
    .args_max = 100,
    .flags = change_flags,
    .values_size = sizeof(struct given),
    .run = run_accept,
};
static const struct verb trust_reject = {
    .name = "reject",
    .group = "field",
    .summary = "trust a certificate no more; it goes to the inbox",
    .examples = { "fieldgate opcua trust reject 7712AB", "fieldgate opcua trust reject 'press-1'", "fieldgate opcua trust reject 7712AB --users" },
    .args = "SHA1|NAME...",
    .args_min = 1,
    .args_max = 100,
    .flags = change_flags,
    .values_size = sizeof(struct given),
    .run = run_reject,
};
static const struct verb trust_rm = {
    .name = "rm",
    .group = "field",
    .summary = "forget a certificate",
    .examples = { "fieldgate opcua trust rm 7712AB", "fieldgate opcua trust rm 'press-1'", "fieldgate opcua trust rm 7712AB --users" },
    .args = "SHA1|NAME...",
    .args_min = 1,
    .args_max = 100,
    .flags = change_flags,
    .values_size = sizeof(struct given),
    .run = run_remove,
};
static const struct verb trust_add = {
    .name = "add",
    .group = "field",
    .summary = "trust what a file holds: a certificate, a CA, a CA's list of what it has revoked",
    .examples = { "fieldgate opcua trust add press-1.der", "fieldgate opcua trust add plant-ca.pem plant-ca.crl",
                  "fieldgate opcua trust add intermediate.pem --issuer" },
    .args = "FILE...",
    .args_min = 1,
    .args_max = 100,
    .flags = add_flags,
    .values_size = sizeof(struct given),
    .run = run_add,
};
static const struct verb trust_own = {
    .name = "own",
    .group = "field",
    .summary = "print our own certificate (PEM), for the machine's list of those it trusts",
    .examples = { "fieldgate opcua trust own", "fieldgate opcua trust own > fieldgate.pem",
                  "fieldgate opcua trust own | openssl x509 -outform der -out fieldgate.der" },
    .flags = own_flags,
    .values_size = sizeof(struct given),
    .run = run_own,
};

static const struct verb *const children[] = { &trust_list, &trust_accept, &trust_reject, &trust_rm, &trust_add, &trust_own, NULL };

const struct verb opcua_trust = {
    .name = "trust",
    .group = "field",
    .summary = "whom we believe: list, accept, reject, rm, add, own",
    .children = children,
};
