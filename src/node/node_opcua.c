/* node_opcua.c - what the node does with OPC UA: its certificate and whom it trusts, and the publisher. Publishers wait for loops: all of this
 * is done on the pool, in the works of node_flow.c. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/pki.h"
#include "publisher/publisher.h"

struct node_opcua {
    struct ua_pki *pki;
    char *nodes, *options, *topic; /* of the publisher that runs */
};

/* Without it, servers without security can be read all the same. */
static void open_store(struct node *n, struct node_opcua *o)
{
    struct fault why;
    if (!o->pki && ua_pki_open(&o->pki, n->options.io, n->data_dir, NULL, &why) != CODE_OK)
        log_error("opcua", "FG5267 the OPC UA certificates cannot be used: %s. Servers that want security cannot be read", why.text);
}

/* ---- the publisher ---- */

static bool same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static bool keep(char **at, const char *text)
{
    mem_free(*at);
    *at = mem_strdup(text);
    return *at;
}

static void forget(struct node_opcua *o)
{
    mem_free(o->nodes);
    mem_free(o->options);
    mem_free(o->topic);
    o->nodes = o->options = o->topic = NULL;
}

static enum code open_publisher(struct node *n, struct node_opcua *o, const struct settings *s, struct fault *why)
{
    struct publisher *p = NULL;
    open_store(n, o);
    struct publisher_config config = { .broker = n->broker, .journal = n->journal, .io = n->options.io, .version = n->options.version,
                                       .site = s->site, .nodes_path = s->opcua.published_nodes, .options = s->opcua.options,
                                       .topic = s->opcua.topic, .own = o->pki ? ua_pki_own(o->pki) : NULL,
                                       .trust = o->pki ? ua_pki_trust(o->pki) : NULL };
    enum code code = publisher_open(&p, &config, why);
    if (code == CODE_OK)
        (void)publisher_put(n->seat, p);
    return code;
}

void opcua_change(struct node *n, const struct settings *s)
{
    struct fault why;
    bool wanted = s->opcua.published_nodes[0] || s->opcua.options[0];
    if (!n->opcua)
        n->opcua = mem_zalloc(1, sizeof *n->opcua);
    struct node_opcua *o = n->opcua;
    if (!o || (same(o->nodes, s->opcua.published_nodes) && same(o->options, s->opcua.options) && same(o->topic, s->opcua.topic)))
        return;
    publisher_close(publisher_put(n->seat, NULL));
    forget(o);
    if (!wanted)
        return;
    if (open_publisher(n, o, s, &why) != CODE_OK) {
        log_error("opcua", "FG%04d the OPC publisher does not run: %s", why.number ? why.number : 5268, why.text);
        return;
    }
    if (!keep(&o->nodes, s->opcua.published_nodes) || !keep(&o->options, s->opcua.options) || !keep(&o->topic, s->opcua.topic))
        forget(o); /* the next change begins it anew */
}

void opcua_stop(struct node *n)
{
    publisher_close(publisher_put(n->seat, NULL));
    if (n->opcua)
        forget(n->opcua);
}

void opcua_free(struct node *n)
{
    publisher_seat_free(n->seat);
    if (!n->opcua)
        return;
    forget(n->opcua);
    ua_pki_close(n->opcua->pki);
    mem_free(n->opcua);
}
