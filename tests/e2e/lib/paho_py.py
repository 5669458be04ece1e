"""The story of clients.test.mjs told by Debian's Paho for Python, unchanged. Says on stdout what it saw, an object of JSON a
line; the test compares.

usage: paho_py.py TRANSPORT(tcp|tls|ws|wss) HOST PORT VERSION(4|5) TOP USER PASSWORD CA|-
TOP begins every topic and client identifier. Ends with 1 and { "part": "refused" } when it is not let in. At the end it waits
with a will until it is killed.
"""
import hashlib
import json
import queue
import ssl
import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

transport, host, port, version, top, user, password, ca = sys.argv[1:9]
V5 = version == "5"
WAIT = 15


def say(**what):
    print(json.dumps(what), flush=True)


def properties_of(message):
    props = getattr(message, "properties", None)
    if props is None:
        return []
    names = {"ContentType": "contentType", "ResponseTopic": "responseTopic"}
    out = [[ours, getattr(props, theirs)] for theirs, ours in names.items() if hasattr(props, theirs)]
    if hasattr(props, "CorrelationData"):
        out.append(["correlation", props.CorrelationData.decode()])
    out += [["user", name, value] for name, value in getattr(props, "UserProperty", [])]
    return out + [["subscription", str(number)] for number in getattr(props, "SubscriptionIdentifier", [])]


class Client:
    def __init__(self, name, clean=True, will=None):
        self.messages, self.answers = queue.Queue(), queue.Queue()
        args = {} if V5 else {"clean_session": clean}
        self.it = it = mqtt.Client(client_id=f"{top}-{name}", protocol=int(version),
                                   transport="websockets" if transport.startswith("ws") else "tcp", **args)
        it.username_pw_set(user, password)
        if ca != "-":
            it.tls_set(ca_certs=ca)
        if transport.startswith("ws"):
            it.ws_set_options(path="/mqtt")
        if will:
            it.will_set(f"{top}/will", will, qos=1)
        it.on_connect = lambda c, u, flags, reason, props=None: self.answers.put((flags, getattr(reason, "value", reason)))
        it.on_subscribe = lambda c, u, mid, granted, props=None: self.answers.put([getattr(g, "value", g) for g in granted])
        it.on_message = lambda c, u, message: self.messages.put(message)
        start = {}
        if V5:
            start = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
            start["properties"].SessionExpiryInterval = 0 if clean else 600
        try:
            it.connect(host, int(port), keepalive=30, **start)
        except ssl.SSLError as error:
            say(part="refused", code=-1, why=str(error))
            sys.exit(1)
        it.loop_start()
        flags, code = self.answers.get(timeout=WAIT)
        if code != 0:
            say(part="refused", code=code)
            sys.exit(1)
        self.present = bool(flags["session present"])

    def subscribe(self, name, qos, number=None):
        props = None
        if number:
            props = Properties(PacketTypes.SUBSCRIBE)
            props.SubscriptionIdentifier = number
        options = {"options": mqtt.SubscribeOptions(qos=qos), "properties": props} if V5 else {"qos": qos}
        self.it.subscribe(name if name.startswith("$") else f"{top}/{name}", **options)
        granted = self.answers.get(timeout=WAIT)
        assert granted == [qos], granted

    def publish(self, name, body, qos, retain=False, props=None):
        info = self.it.publish(f"{top}/{name}", body, qos=qos, retain=retain, properties=props)
        info.wait_for_publish(WAIT)
        assert info.is_published(), name

    def take(self, part, count):
        for _ in range(count):
            m = self.messages.get(timeout=WAIT)
            say(part=part, topic=m.topic, qos=m.qos, retain=bool(m.retain), bytes=len(m.payload),
                sha256=hashlib.sha256(m.payload).hexdigest(), properties=properties_of(m))

    def leave(self):
        self.it.disconnect()
        self.it.loop_stop()


body = bytes(i * 31 % 251 for i in range(100000))
client = Client("main", will="polite")
say(part="session", present=client.present)

client.subscribe("data/#", 2)
for qos in (0, 1, 2):
    for size in (0, 1, 100000):
        client.publish(f"data/{qos}", body[:size], qos)
client.take("data", 9)

client.subscribe("kept", 1)
client.take("kept", 1)
client.publish("own", "own", 1, retain=True)

if V5:
    props = Properties(PacketTypes.PUBLISH)
    props.ContentType, props.ResponseTopic, props.CorrelationData = "text/plain", "answers/here", b"c-17"
    props.UserProperty = [("zeta", "1"), ("zeta", "2"), ("alpha", "3")]
    client.subscribe("props", 1, number=7)
    client.publish("props", "p", 1, props=props)
    client.take("props", 1)

client.subscribe(f"$share/group/{top}/shared", 1)
client.publish("shared", "s", 1)
client.take("shared", 1)

away = Client("away", clean=False)
say(part="session", present=away.present)
away.subscribe("away", 2)
away.leave()
for qos in (1, 2):
    client.publish("away", str(qos), qos)
away = Client("away", clean=False)
say(part="session", present=away.present)
away.take("away", 2)
away.leave()
client.leave()

Client("dying", will="killed")
say(part="waiting")
time.sleep(60)
sys.exit(2)
