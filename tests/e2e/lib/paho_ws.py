"""Debian's Paho, unchanged: connects over WebSocket, subscribes, publishes, says on stdout what came.

usage: paho_ws.py PORT VERSION(4|5) TOPIC BYTES COUNT
"""
import sys
import paho.mqtt.client as mqtt

port, version, topic, size, count = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
got = []


def on_connect(client, userdata, flags, reason, properties=None):
    print("connected", int(getattr(reason, "value", reason)), flush=True)
    client.subscribe(topic, qos=2)


def on_subscribe(client, userdata, mid, granted, properties=None):
    for i in range(count):
        client.publish(topic, bytes([i]) * size, qos=i % 3)


def on_message(client, userdata, message):
    got.append(message.payload)
    if len(got) == count:
        ok = sorted(got) == [bytes([i]) * size for i in range(count)]
        print("received", len(got), ok, flush=True)
        client.disconnect()


client = mqtt.Client(client_id="", transport="websockets", protocol=version)
client.ws_set_options(path="/mqtt")
client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
client.connect("127.0.0.1", port, keepalive=30)
client.loop_forever(timeout=1.0)
