// The story of clients.test.mjs told by Debian's Paho C (its synchronous API), unchanged. Says on stdout what it saw, an
// object of JSON a line; the test compares.
//
// usage: paho_c URI VERSION(4|5) TOP USER PASSWORD CA|-
// TOP begins every topic and client identifier. Ends with 1 and { "part": "refused" } when it is not let in. At the end it
// waits with a will until it is killed.

#include <MQTTClient.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_MS = 15000, BIG = 100000 };

static const char *uri, *top, *user, *password, *ca;
static bool v5;

static void die(const char *what, int rc)
{
    fprintf(stderr, "paho_c: %s: %d\n", what, rc);
    exit(2);
}

static void must(int rc, const char *what)
{
    if (rc != 0)
        die(what, rc);
}

// TOP/NAME, or TOP-NAME. The caller frees.
static char *under(const char *joint, const char *name)
{
    char *text = malloc(strlen(top) + strlen(joint) + strlen(name) + 1);
    if (text == NULL)
        die("memory", 0);
    sprintf(text, "%s%s%s", top, joint, name);
    return text;
}

static MQTTClient create(const char *name)
{
    MQTTClient client;
    MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
    options.MQTTVersion = v5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    char *id = under("-", name);
    must(MQTTClient_createWithOptions(&client, uri, id, MQTTCLIENT_PERSISTENCE_NONE, NULL, &options), "create");
    free(id);
    return client;
}

static void refused(int code)
{
    printf("{\"part\":\"refused\",\"code\":%d}\n", code);
    exit(1);
}

static int connect_5(MQTTClient client, MQTTClient_connectOptions *options, bool clean)
{
    MQTTProperties props = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = clean ? 0 : 600};
    must(MQTTProperties_add(&props, &expiry), "session expiry");
    options->cleanstart = clean;
    MQTTResponse response = MQTTClient_connect5(client, options, &props, NULL);
    int code = (int)response.reasonCode;
    MQTTResponse_free(response);
    MQTTProperties_free(&props);
    return code;
}

// Whether the node had a session. `will` is the text that it publishes for us under TOP/will.
static bool join(MQTTClient client, bool clean, const char *will)
{
    MQTTClient_connectOptions plain = MQTTClient_connectOptions_initializer, five = MQTTClient_connectOptions_initializer5;
    MQTTClient_connectOptions options = v5 ? five : plain;
    MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
    MQTTClient_willOptions last = MQTTClient_willOptions_initializer;
    char *topic = under("/", "will");
    tls.trustStore = ca;
    tls.verify = strstr(uri, "//[") == NULL; /* its name; Paho C 1.3.12 looks for "[::1]" with brackets, and finds none */
    options.username = user;
    options.password = password;
    options.connectTimeout = 10;
    options.ssl = ca != NULL ? &tls : NULL;
    last.topicName = topic;
    last.message = will;
    last.qos = 1;
    options.will = will != NULL ? &last : NULL;
    if (!v5)
        options.cleansession = clean;
    int code = v5 ? connect_5(client, &options, clean) : MQTTClient_connect(client, &options);
    free(topic);
    if (code != 0)
        refused(code);
    return options.returned.sessionPresent != 0;
}

static void leave(MQTTClient client)
{
    must(v5 ? MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL) : MQTTClient_disconnect(client, 1000), "disconnect");
    MQTTClient_destroy(&client);
}

static void subscribe(MQTTClient client, const char *filter, int qos, int id)
{
    if (!v5) {
        must(MQTTClient_subscribe(client, filter, qos), filter);
        return;
    }
    MQTTProperties props = MQTTProperties_initializer;
    MQTTProperty number = {.identifier = MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER, .value.integer4 = (unsigned)id};
    if (id != 0)
        must(MQTTProperties_add(&props, &number), "subscription identifier");
    MQTTResponse response = MQTTClient_subscribe5(client, filter, qos, NULL, &props);
    if ((int)response.reasonCode != qos)
        die(filter, response.reasonCode);
    MQTTResponse_free(response);
    MQTTProperties_free(&props);
}

static void publish(MQTTClient client, const char *topic, const void *body, int size, int qos, bool retain, const MQTTProperties *props)
{
    MQTTClient_message message = MQTTClient_message_initializer;
    MQTTClient_deliveryToken token = 0;
    message.payload = (void *)body;
    message.payloadlen = size;
    message.qos = qos;
    message.retained = retain;
    if (props != NULL)
        message.properties = *props;
    if (v5) {
        MQTTResponse response = MQTTClient_publishMessage5(client, topic, &message, &token);
        must(response.reasonCode, topic);
        MQTTResponse_free(response);
    } else {
        must(MQTTClient_publishMessage(client, topic, &message, &token), topic);
    }
    if (qos > 0)
        must(MQTTClient_waitForCompletion(client, token, WAIT_MS), "acknowledgement");
}

static void say_body(const MQTTClient_message *message)
{
    unsigned char hash[32];
    if (EVP_Digest(message->payload, (size_t)message->payloadlen, hash, NULL, EVP_sha256(), NULL) != 1)
        die("sha256", 0);
    printf(",\"bytes\":%d,\"sha256\":\"", message->payloadlen);
    for (int i = 0; i < 32; i++)
        printf("%02x", hash[i]);
    printf("\"");
}

static void say_property(const MQTTProperty *p)
{
    const MQTTLenString *text = &p->value.data, *value = &p->value.value;
    switch (p->identifier) {
    case MQTTPROPERTY_CODE_USER_PROPERTY:
        printf("[\"user\",\"%.*s\",\"%.*s\"]", text->len, text->data, value->len, value->data);
        break;
    case MQTTPROPERTY_CODE_CONTENT_TYPE:
        printf("[\"contentType\",\"%.*s\"]", text->len, text->data);
        break;
    case MQTTPROPERTY_CODE_RESPONSE_TOPIC:
        printf("[\"responseTopic\",\"%.*s\"]", text->len, text->data);
        break;
    case MQTTPROPERTY_CODE_CORRELATION_DATA:
        printf("[\"correlation\",\"%.*s\"]", text->len, text->data);
        break;
    case MQTTPROPERTY_CODE_SUBSCRIPTION_IDENTIFIER:
        printf("[\"subscription\",\"%u\"]", p->value.integer4);
        break;
    default:
        printf("[\"other\",\"%d\"]", (int)p->identifier);
    }
}

// Receives `count` messages and says each as the part `name`.
static void take(MQTTClient client, const char *name, int count)
{
    for (int i = 0; i < count; i++) {
        char *topic = NULL;
        int size = 0;
        MQTTClient_message *message = NULL;
        int rc = MQTTClient_receive(client, &topic, &size, &message, WAIT_MS);
        if (message == NULL)
            die(name, rc);
        printf("{\"part\":\"%s\",\"topic\":\"%s\",\"qos\":%d,\"retain\":%s", name, topic, message->qos, message->retained ? "true" : "false");
        say_body(message);
        printf(",\"properties\":[");
        for (int k = 0; k < message->properties.count; k++) {
            printf("%s", k > 0 ? "," : "");
            say_property(&message->properties.array[k]);
        }
        printf("]}\n");
        MQTTClient_freeMessage(&message);
        MQTTClient_free(topic);
    }
}

static unsigned char body[BIG];

static void bodies_of_each_size(MQTTClient client)
{
    static const int sizes[] = {0, 1, BIG};
    char *all = under("/", "data/#");
    subscribe(client, all, 2, 0);
    free(all);
    for (int qos = 0; qos <= 2; qos++) {
        char name[] = "data/0";
        name[5] = (char)('0' + qos);
        char *topic = under("/", name);
        for (int i = 0; i < 3; i++)
            publish(client, topic, body, sizes[i], qos, false, NULL);
        free(topic);
    }
    take(client, "data", 9);
}

static void retained(MQTTClient client)
{
    char *kept = under("/", "kept"), *own = under("/", "own");
    subscribe(client, kept, 1, 0);
    take(client, "kept", 1);
    publish(client, own, "own", 3, 1, true, NULL);
    free(kept);
    free(own);
}

static void add(MQTTProperties *props, enum MQTTPropertyCodes code, const char *name, const char *value)
{
    MQTTProperty p = {.identifier = code};
    p.value.data.data = (char *)name;
    p.value.data.len = (int)strlen(name);
    p.value.value.data = (char *)value;
    p.value.value.len = value != NULL ? (int)strlen(value) : 0;
    must(MQTTProperties_add(props, &p), name);
}

static void properties(MQTTClient client)
{
    char *topic = under("/", "props");
    MQTTProperties props = MQTTProperties_initializer;
    add(&props, MQTTPROPERTY_CODE_CONTENT_TYPE, "text/plain", NULL);
    add(&props, MQTTPROPERTY_CODE_RESPONSE_TOPIC, "answers/here", NULL);
    add(&props, MQTTPROPERTY_CODE_CORRELATION_DATA, "c-17", NULL);
    add(&props, MQTTPROPERTY_CODE_USER_PROPERTY, "zeta", "1");
    add(&props, MQTTPROPERTY_CODE_USER_PROPERTY, "zeta", "2");
    add(&props, MQTTPROPERTY_CODE_USER_PROPERTY, "alpha", "3");
    subscribe(client, topic, 1, 7);
    publish(client, topic, "p", 1, 1, false, &props);
    take(client, "props", 1);
    MQTTProperties_free(&props);
    free(topic);
}

static void shared(MQTTClient client)
{
    char *topic = under("/", "shared");
    char filter[256];
    snprintf(filter, sizeof filter, "$share/group/%s", topic);
    subscribe(client, filter, 1, 0);
    publish(client, topic, "s", 1, 1, false, NULL);
    take(client, "shared", 1);
    free(topic);
}

static void away(MQTTClient here)
{
    char *topic = under("/", "away");
    MQTTClient first = create("away");
    printf("{\"part\":\"session\",\"present\":%s}\n", join(first, false, NULL) ? "true" : "false");
    subscribe(first, topic, 2, 0);
    leave(first);
    for (int qos = 1; qos <= 2; qos++)
        publish(here, topic, qos == 1 ? "1" : "2", 1, qos, false, NULL);
    MQTTClient again = create("away");
    printf("{\"part\":\"session\",\"present\":%s}\n", join(again, false, NULL) ? "true" : "false");
    take(again, "away", 2);
    leave(again);
    free(topic);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    uri = argv[1];
    v5 = strcmp(argv[2], "5") == 0;
    top = argv[3];
    user = argv[4];
    password = argv[5];
    ca = strcmp(argv[6], "-") != 0 ? argv[6] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    MQTTClient_init_options once = MQTTClient_init_options_initializer;
    once.do_openssl_init = 1;
    MQTTClient_global_init(&once);
    for (size_t i = 0; i < BIG; i++)
        body[i] = (unsigned char)(i * 31 % 251);

    MQTTClient client = create("main");
    printf("{\"part\":\"session\",\"present\":%s}\n", join(client, true, "polite") ? "true" : "false");
    bodies_of_each_size(client);
    retained(client);
    if (v5)
        properties(client);
    shared(client);
    away(client);
    leave(client);
    join(create("dying"), true, "killed");
    printf("{\"part\":\"waiting\"}\n");
    sleep(60);
    return 2;
}
