# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the port-mapper benchmark: our iwpmd and rdma-core's take turns on one kernel with one siw device, whose
ports are really mapped."""

import json
import os
import pathlib
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import time

SMOKE = os.environ.get("VMTEST_SMOKE") == "1"
RUNS = int(os.environ.get("VMTEST_RUNS", "3"))
OWN, OTHER = "10.9.0.1", "10.9.0.2"
PORT = 3935
SOCKETS = 8
FEW, MANY = (50, 500) if SMOKE else (100, 10000)
SECONDS = 2 if SMOKE else 8
PINGS = 100 if SMOKE else 1000
IDLE_SECONDS = 10 if SMOKE else 20
REST_SECONDS = 3
PATIENCE = 120
RDMACM = ["python3", "/vmtest/lib/rdmacm.py"]
PROGRAMS = {"ours": "/usr/sbin/iwpmd", "theirs": "/opt/rdma-core/usr/sbin/iwpmd"}


def sh(command):
    """Runs a command; its output."""
    return subprocess.run(command, shell=True, check=True, stdout=subprocess.PIPE, text=True).stdout


def wait_until(what, true):
    """Waits for something to become true."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            raise SystemExit(f"not within {PATIENCE} s: {what}")
        time.sleep(0.1)


class Daemon:
    """One port mapper, running."""

    def __init__(self, who):
        self.process = subprocess.Popen([PROGRAMS[who], "--systemd"])
        wait_until("UDP port open", lambda: f":{PORT}" in sh("ss -Hlun"))
        time.sleep(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def rss_kb(self):
        """Resident memory."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(text.split("VmRSS:")[1].split()[0])

    def cpu_ms(self):
        """CPU time used so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def switches(self):
        """How often its threads have gone to sleep."""
        total = 0
        for status in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            text = status.read_text(encoding="ascii")
            total += int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])
        return total


class Listeners:
    """A process with COUNT listeners from FIRST on."""

    def __init__(self, first, count):
        self.process = subprocess.Popen(
            [*RDMACM, "listen", OWN, str(first), str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ms = int(self.process.stdout.readline().split()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def request(port):
    """A REQ datagram for a port of ours."""
    own = socket.inet_aton(OWN) + bytes(12)
    other = socket.inet_aton(OTHER) + bytes(12)
    return struct.pack("!BBHHHQ", 4, 0, 5000, port, 5000, random.getrandbits(64)) + other + own + other


def ack(accept):
    """The answer to an accept."""
    return b"\x24" + accept[1:]


def latency(ports):
    """One query after the other, each with its acknowledgement: milliseconds."""
    times = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((OWN, PORT))
        for _ in range(PINGS):
            datagram = request(random.choice(ports))
            started = time.perf_counter()
            sock.send(datagram)
            answer = sock.recv(64)
            times.append((time.perf_counter() - started) * 1000)
            sock.send(ack(answer))
    return times


def throughput(ports, daemon):
    """Queries of several hosts, 16 on their way at a time: answers a second, and CPU time of the daemon for each."""
    socks = []
    for _ in range(SOCKETS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(10)
        sock.connect((OWN, PORT))
        socks.append(sock)
    answered = 0
    before = daemon.cpu_ms()
    started = time.monotonic()
    while time.monotonic() - started < SECONDS:
        for sock in socks:
            for _ in range(2):
                sock.send(request(random.choice(ports)))
        for sock in socks:
            for _ in range(2):
                answer = sock.recv(64)
                if answer[0] >> 4 == 1:
                    answered += 1
                    sock.send(ack(answer))
    took = time.monotonic() - started
    used = daemon.cpu_ms() - before
    for sock in socks:
        sock.close()
    return answered / took, used / max(answered, 1)


def settle():
    """Both programs forget an exchange after 10 s."""
    time.sleep(11)


def measure(who):
    """Everything about one program."""
    out = {}
    with Daemon(who) as daemon:
        before = daemon.switches()
        time.sleep(IDLE_SECONDS)
        out["wakeups_per_minute"] = (daemon.switches() - before) * 60 / IDLE_SECONDS
        with Listeners(10000, FEW):
            ports = range(10000, 10000 + FEW)
            cpu = daemon.cpu_ms()
            churned = subprocess.run(
                [*RDMACM, "churn", OWN, "7400", str(SECONDS)], check=True, stdout=subprocess.PIPE, text=True
            )
            out["mappings_per_s"] = int(churned.stdout) / SECONDS
            out["cpu_ms_per_mapping"] = (daemon.cpu_ms() - cpu) / int(churned.stdout)
            times = latency(ports)
            out["median_ms"] = statistics.median(times)
            out["p99_ms"] = statistics.quantiles(times, n=100)[98]
            settle()
            out["queries_per_s"], out["cpu_ms_per_query"] = throughput(ports, daemon)
            settle()
            with Listeners(10000 + FEW, MANY - FEW) as many:
                out["ms_per_listen"] = many.ms / (MANY - FEW)
                out["rss_busy_kb"] = daemon.rss_kb()
                time.sleep(REST_SECONDS)
                out["rss_kb"] = daemon.rss_kb()
                times = latency(range(10000, 10000 + MANY))
                out["median_many_ms"] = statistics.median(times)
                out["p99_many_ms"] = statistics.quantiles(times, n=100)[98]
        answer = subprocess.run([*RDMACM, "connect", OTHER, "7300"], check=True, stdout=subprocess.PIPE, text=True)
        out["no_mapper_connect_s"] = int(answer.stdout.split()[0]) / 1000
    print(who, json.dumps(out), flush=True)
    return out


def main():
    """Writes result.json: program to a list of what each run measured."""
    subprocess.run(["systemctl", "is-system-running", "--wait"], check=False, stdout=subprocess.DEVNULL)
    resource.setrlimit(resource.RLIMIT_NOFILE, (131072, 131072))
    sh("mkdir -p /pool /opt/rdma-core /run/iwpmd && mount -o ro /dev/disk/by-id/virtio-vmpool /pool")
    sh("dpkg -x /pool/rdma-core_*.deb /opt/rdma-core")
    # rdma-core's has no limit of a source's requests; all load comes from this host.
    pathlib.Path("/etc/iwpmd.conf").write_text("rate_limit=0\nnl_sock_rbuf_size=8388608\n", encoding="ascii")
    sh("systemctl mask iwpmd.service 2>/dev/null")
    sh("ip netns add other && ip link add v0a type veth peer name v0b netns other")
    sh(f"ip address add {OWN}/24 dev v0a && ip link set v0a up")
    sh(f"ip -n other address add {OTHER}/24 dev v0b && ip -n other link set v0b up && ip -n other link set lo up")
    sh("rdma link add siw0 type siw netdev v0a && modprobe rdma_ucm && modprobe rdmaboot_test_portmap")
    wait_until("rdma_cm", lambda: pathlib.Path("/dev/infiniband/rdma_cm").exists())
    sh("echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map")
    result = {"kernel": os.uname().release, "few": FEW, "many": MANY, "ours": [], "theirs": []}
    for number in range(RUNS):
        for who in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
            result[who].append(measure(who))
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
