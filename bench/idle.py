"""Start to first accepted CONNECT, memory of an idle node, memory per idle connection: ours and mosquitto's."""
import os, resource, shutil, socket, subprocess, sys, time

folder = sys.argv[1]
binary = os.environ.get("FIELDGATE", "build/fieldgate")
COUNT = int(os.environ.get("IDLE", "10000"))
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
COUNT = min(COUNT, hard - 200)


def connect(port, name):
    s = socket.create_connection(("127.0.0.1", port))
    c = name.encode()
    s.sendall(bytes([0x10, 12 + len(c), 0, 4]) + b"MQTT" + bytes([4, 2, 0, 0, 0, len(c)]) + c)
    if s.recv(4) != b"\x20\x02\x00\x00":
        sys.exit("CONNECT refused")
    return s


def rss_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def ours():
    data = os.path.join(folder, "idle")
    shutil.rmtree(data, ignore_errors=True)
    os.makedirs(data)
    config = os.path.join(data, "f.yaml")
    with open(config, "w") as f:
        f.write(f"version: 1\ndata: {data}/data\nlisteners:\n  - {{ type: mqtt, at: ['127.0.0.1:0'] }}\n")
    begin = time.monotonic()
    p = subprocess.Popen([binary, "run", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in p.stdout:
        if line.startswith("listening mqtt"):
            return p, int(line.rsplit(":", 1)[1]), begin
    sys.exit("the node did not start")


def mosquitto():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config = os.path.join(folder, "idle.conf")
    with open(config, "w") as f:
        f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    begin = time.monotonic()
    p = subprocess.Popen(["mosquitto", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return p, port, begin
        except OSError:
            time.sleep(0.001)


for name, start in (("fieldgate", ours), ("mosquitto", mosquitto)):
    process, port, begin = start()
    first = connect(port, "first")
    took = (time.monotonic() - begin) * 1000
    time.sleep(0.5)
    idle = rss_kib(process.pid)
    held = [connect(port, f"idle{i:05d}") for i in range(COUNT)]
    each = (rss_kib(process.pid) - idle) / COUNT
    print(f"{name:10s} start to first CONNACK {took:5.1f} ms   idle RSS {idle} KiB   {COUNT} idle connections: {each:.2f} KiB each")
    for s in held:
        s.close()
    first.close()
    process.terminate()
    process.wait()
