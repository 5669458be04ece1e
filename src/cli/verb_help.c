/* help [VERB|TOPIC]: the page of a verb, or how to do a whole job by hand. */
#include "base/suggest.h"
#include "cli/completion.h"
#include "cli/verbs.h"

#include <stdio.h>

struct help {
    bool man;
};

static const struct flag flags[] = {
    { 0, "man", FLAG_SWITCH, FLAG_FIELD(struct help, man), .help = "as a manual page: fieldgate help --man pub | man -l -" },
    FLAGS_END,
};

static const struct topic {
    const char *name, *summary, *page;
} topics[] = {
    { "m2m", "machine to machine, by hand",
      "Machine to machine, by hand: what `fieldgate demo m2m` does, in four terminals.\n"
      "\n"
      "  fieldgate run --set 'hub.topics=factory/#'\n"
      "      the node: MQTT on 127.0.0.1:1883, telemetry under factory/ is kept in the partitions\n"
      "  fieldgate sub -v -t 'factory/#'\n"
      "      another machine, watching\n"
      "  fieldgate simulate machine --name press-1\n"
      "      a machine that measures temperature and humidity\n"
      "  fieldgate events --since 1m\n"
      "      what was kept of the last minute\n"
      "\n"
      "Any MQTT client does as well: mosquitto_sub -t 'factory/#' -v\n" },
    { "anomaly", "anomaly detection, by hand",
      "Anomaly detection, by hand: what `fieldgate demo anomaly` does.\n"
      "\n"
      "  fieldgate sensor --simulate &\n"
      "      a machine: an OPC UA server at opc.tcp://127.0.0.1:4840\n"
      "  fieldgate opcua browse opc.tcp://127.0.0.1:4840\n"
      "      what it has\n"
      "  cat > publishednodes.json\n"
      "      [{ \"EndpointUrl\": \"opc.tcp://127.0.0.1:4840\", \"OpcNodes\": [{ \"Id\": \"ns=2;s=Humidity\" }] }]\n"
      "  cat > humidity.sql\n"
      "      WITH readings AS (SELECT Value.Value AS Humidity FROM opcua WHERE DisplayName = 'Humidity')\n"
      "      SELECT Humidity, AnomalyDetection_SpikeAndDip(CAST(Humidity AS float), 95, 120, 'spikesanddips')\n"
      "        OVER (LIMIT DURATION(minute, 10)) AS s\n"
      "      INTO [factory/anomalies] FROM readings\n"
      "  fieldgate job check humidity.sql\n"
      "      what the query does, or what is wrong with it; needs no node\n"
      "  fieldgate run --set opcua.published-nodes=publishednodes.json --set 'opcua.options=--ns=true --fd=true --aa --si=0 --ms=0' &\n"
      "  fieldgate job apply humidity.sql\n"
      "      the node that reads the machine, and the job in it\n"
      "  fieldgate sub -t factory/anomalies\n"
      "      what the job says of it\n"
      "  fieldgate job models humidity\n"
      "      what it has learned, and what would not surprise it\n"
      "  fieldgate opcua write opc.tcp://127.0.0.1:4840 'ns=2;s=Run' false\n"
      "      stops the machine; an action does it by itself: docs/actions.md\n" },
    { "opcua", "machines that speak OPC UA, by hand",
      "Machines that speak OPC UA, by hand. A machine to try with: fieldgate sensor --simulate\n"
      "\n"
      "  fieldgate opcua test opc.tcp://10.0.4.20:4840\n"
      "      what the server offers, what it lacks, what is done instead\n"
      "  fieldgate opcua trust list;  fieldgate opcua trust accept SHA1\n"
      "      its certificate waits in the inbox until somebody says yes\n"
      "  fieldgate opcua browse opc.tcp://10.0.4.20:4840\n"
      "      its nodes with types and values\n"
      "  fieldgate opcua watch opc.tcp://10.0.4.20:4840 Press1/Temperature\n"
      "      values as they change\n"
      "  fieldgate opcua write opc.tcp://10.0.4.20:4840 'ns=2;s=Run' false;  fieldgate opcua call URL OBJECT METHOD\n"
      "      back to the machine\n"
      "\n"
      "opcua.published-nodes in the settings names the file of what the node reads: docs/opcua.md\n" },
    { "mqtt", "any broker, by hand",
      "Any broker, by hand: all of these take -h HOST -p PORT, mqtts://HOST or wss://HOST/mqtt, and -u NAME -P @FILE.\n"
      "\n"
      "  fieldgate sub -t 'factory/#' --watch\n"
      "      a line per topic: last value, change, age, rate; --rate counts instead\n"
      "  fieldgate pub -t factory/line1/fan -m on -q 1 -r\n"
      "      flags are those of mosquitto_pub; properties also have names, such as --content-type\n"
      "  fieldgate mqtt-test\n"
      "      what the broker can do, and whether it does it as the standard says\n"
      "  fieldgate bench -q 1 --publishers 10 --pid $(pidof fieldgate)\n"
      "      as fast as it can; --rate 5000 by the clock, with honest latencies\n"
      "  source <(fieldgate completion bash)\n"
      "      and the shell completes verbs and flags\n" },
};
enum { TOPICS = sizeof topics / sizeof topics[0], NAMES_MAX = 64 };

static const struct topic *topic_find(const char *name)
{
    for (size_t i = 0; i < TOPICS; i++)
        if (strcmp(topics[i].name, name) == 0)
            return &topics[i];
    return NULL;
}

static int unknown(const struct verb_call *call, const char *name)
{
    const char *names[NAMES_MAX];
    char said[64];
    size_t n = 0;
    for (size_t i = 0; i < TOPICS; i++)
        names[n++] = topics[i].name;
    for (const struct verb *const *v = call->verbs; *v && n < NAMES_MAX; v++)
        if ((*v)->group)
            names[n++] = (*v)->name;
    const char *near = suggest_word(bytes_str(name), names, n);
    return verb_usage(call, "there is no verb or topic '%s'%s%s%s",
                      bytes_escape(bytes_str(name), said, sizeof said), near ? ". Did you mean '" : "",
                      near ? near : "", near ? "'?" : "");
}

static int run(struct verb_call *call)
{
    const struct texts *args = &call->options->args;
    const struct verb *const *among = call->verbs;
    const struct verb *verb = NULL;
    char path[64] = "";
    bool man = ((const struct help *)call->values)->man;
    if (man && args->count == 0)
        return verb_usage(call, "--man needs a verb");
    if (args->count == 0) {
        verb_print_overview(call->out, call->verbs);
        (void)fprintf(call->out, "Whole jobs:\n");
        for (size_t i = 0; i < TOPICS; i++)
            (void)fprintf(call->out, "  fieldgate help %-6s %s\n", topics[i].name, topics[i].summary);
        return STATUS_DONE;
    }
    const struct topic *topic = args->count == 1 && !man ? topic_find(args->at[0]) : NULL;
    if (topic) {
        (void)fputs(topic->page, call->out);
        return STATUS_DONE;
    }
    for (size_t i = 0, n = 0; i < args->count; i++) {
        verb = verb_find(among, bytes_str(args->at[i]));
        if (!verb)
            return unknown(call, args->at[i]);
        n += (size_t)snprintf(path + n, sizeof path - n, "%s%s", i ? " " : "", verb->name);
        among = verb->children;
    }
    if (man)
        manual_page(call->out, verb, path);
    else
        verb_print_help(call->out, verb, path);
    return STATUS_DONE;
}

const struct verb verb_help = {
    .name = "help",
    .group = "care",
    .summary = "the page of a verb, or a whole job by hand",
    .examples = { "fieldgate help", "fieldgate help config show", "fieldgate help m2m" },
    .args = "[VERB|TOPIC]",
    .args_max = 2,
    .flags = flags,
    .values_size = sizeof(struct help),
    .run = run,
};
