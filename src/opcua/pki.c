#include "opcua/pki.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { HOST_CHARS = 254, PATH_CHARS = 1200, FILE_BYTES = 64 * 1024 };

struct ua_pki {
    struct ua_application *own;
    struct ua_trust       *trust;
};

/* Two threads that start at once make one certificate. */
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;

/* ---- names of this host ---- */

struct hosts {
    char        text[UA_OWN_HOSTS_MAX][HOST_CHARS];
    const char *at[UA_OWN_HOSTS_MAX];
    size_t      count;
};

static void add_host(struct hosts *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (!strcmp(h->at[i], name))
            return;
    if (h->count == UA_OWN_HOSTS_MAX || !*name)
        return;
    snprintf(h->text[h->count], HOST_CHARS, "%s", name);
    h->at[h->count] = h->text[h->count];
    h->count++;
}

static void add_addresses(struct hosts *h)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN] = "";
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
            continue;
        if (i->ifa_addr->sa_family == AF_INET)
            inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, text, sizeof text);
        else if (i->ifa_addr->sa_family == AF_INET6 &&
                 !IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr))
            inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, text, sizeof text);
        add_host(h, text);
    }
    freeifaddrs(all);
}

static void host_name(char out[HOST_CHARS])
{
    if (gethostname(out, HOST_CHARS) != 0 || !out[0])
        snprintf(out, HOST_CHARS, "localhost");
    out[HOST_CHARS - 1] = 0;
    for (char *c = out; *c; c++)
        if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 0x7f || *c == ':' || *c == '/')
            *c = '-';
}

/* ---- our certificate ---- */

/* The URI of the one that is there, if it is one of ours; false: make one. */
static bool uri_of_now(const struct io *io, const char *dir, char *out, size_t cap)
{
    char path[PATH_CHARS + 32], *text;
    size_t len;
    struct ua_certificate *c = NULL;
    snprintf(path, sizeof path, "%s/own/certs/fieldgate.der", dir);
    if (io_load(io, path, FILE_BYTES, &text, &len, NULL) != CODE_OK)
        return false;
    bool ours = ua_certificate_read_file(&c, bytes_of(text, len), NULL) == CODE_OK && c->uri && strlen(c->uri) < cap;
    if (ours)
        snprintf(out, cap, "%s", c->uri);
    ua_certificate_drop(c);
    mem_free(text);
    return ours;
}

static enum code open_own(struct ua_pki *p, const struct io *io, const char *dir, bool *made, struct fault *why)
{
    char host[HOST_CHARS], uri[UA_URI_BYTES_MAX], name[HOST_CHARS + 16];
    struct ua_own_result result = { 0 };
    struct hosts *hosts = mem_zalloc(1, sizeof *hosts);
    if (!hosts)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a certificate");
    host_name(host);
    add_host(hosts, host);
    add_host(hosts, "localhost");
    add_addresses(hosts);
    if (!uri_of_now(io, dir, uri, sizeof uri))
        snprintf(uri, sizeof uri, "urn:%s:fieldgate", host);
    snprintf(name, sizeof name, "Fieldgate %s", host);
    struct ua_own_wish wish = { .uri = uri, .name = name, .hosts = hosts->at, .host_count = hosts->count,
                                .wall_us = io->wall_us(io->self) };
    pthread_mutex_lock(&making);
    enum code c = ua_own_open(&p->own, io, dir, &wish, &result, why);
    pthread_mutex_unlock(&making);
    if (made)
        *made = result.made || result.renewed;
    mem_free(hosts);
    return c;
}

enum code ua_pki_open(struct ua_pki **out, const struct io *io, const char *data, bool *made, struct fault *why)
{
    char dir[PATH_CHARS];
    *out = NULL;
    if ((size_t)snprintf(dir, sizeof dir, "%s/opcua", data) + 32 >= sizeof dir)
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    int err = io_make_path(io, dir);
    if (err < 0)
        return FAIL_SYS(why, CODE_IO, -err, "cannot make %s", dir);
    snprintf(dir, sizeof dir, "%s/opcua/pki", data);
    struct ua_pki *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a trust store");
    enum code c = ua_trust_open(&p->trust, io, dir, why);
    if (c == CODE_OK)
        c = open_own(p, io, dir, made, why);
    if (c == CODE_OK) {
        ua_trust_own(p->trust, p->own->certificate);
        *out = p;
    } else {
        ua_pki_close(p);
    }
    return c;
}

void ua_pki_close(struct ua_pki *p)
{
    if (!p)
        return;
    ua_application_drop(p->own);
    ua_trust_close(p->trust);
    mem_free(p);
}

struct ua_application *ua_pki_own(const struct ua_pki *p)
{
    return p->own;
}

struct ua_trust *ua_pki_trust(const struct ua_pki *p)
{
    return p->trust;
}

const char *ua_pki_uri(const struct ua_pki *p)
{
    return p->own->certificate->uri;
}
