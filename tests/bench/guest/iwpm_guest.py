# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the port-mapper benchmark: our iwpmd or rdma-core's, with one siw device, whose ports are really mapped. One
daemon a boot: the kernel keeps what it is told of peers, and is slower for whoever comes next."""

import json
import os
import pathlib
import resource
import signal
import statistics
import subprocess
import time

SMOKE = os.environ.get("VMTEST_SMOKE") == "1"
OWN, OTHER = "10.9.0.1", "10.9.0.2"
PORT = 3935
FIRST = 10000
FEW, MANY = (50, 500) if SMOKE else (100, 10000)
SECONDS = 2 if SMOKE else 8
PINGS = 100 if SMOKE else 5000
IDLE_SECONDS = 10 if SMOKE else 20
REST_SECONDS = 3
PATIENCE = 120
LOAD = "/usr/local/bin/mapper_load"
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


def latency(count):
    """One query after the other, for the first `count` ports: milliseconds of each."""
    command = [LOAD, "latency", OWN, OTHER, str(FIRST), str(count), str(PINGS)]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(line) / 1000 for line in shown.split()]


def throughput(daemon):
    """Queries of several hosts, 16 on their way at a time: answers a second, their latency, CPU time of the daemon for each."""
    before = daemon.cpu_ms()
    command = [LOAD, "throughput", OWN, OTHER, str(FIRST), str(FEW), str(SECONDS)]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    answers, took, median, p99 = (float(word) for word in shown.split())
    return {
        "queries_per_s": answers / took,
        "cpu_ms_per_query": (daemon.cpu_ms() - before) / answers,
        "median_ms": median / 1000,
        "p99_ms": p99 / 1000,
    }


def settle():
    """Both programs forget an exchange after 10 s."""
    time.sleep(11)


def measure(who):
    """Everything about one program."""
    out = {}
    with Daemon(who) as daemon:
        # Idle is when nothing has happened for some seconds: a start has an end of its own.
        time.sleep(REST_SECONDS)
        before = daemon.switches()
        time.sleep(IDLE_SECONDS)
        out["wakeups_per_minute"] = (daemon.switches() - before) * 60 / IDLE_SECONDS
        with Listeners(FIRST, FEW):
            cpu = daemon.cpu_ms()
            churned = subprocess.run(
                [*RDMACM, "churn", OWN, "7400", str(SECONDS)], check=True, stdout=subprocess.PIPE, text=True
            )
            out["mappings_per_s"] = int(churned.stdout) / SECONDS
            out["cpu_ms_per_mapping"] = (daemon.cpu_ms() - cpu) / int(churned.stdout)
            times = latency(FEW)
            out["median_alone_ms"] = statistics.median(times)
            out["p99_alone_ms"] = statistics.quantiles(times, n=100)[98]
            settle()
            out |= throughput(daemon)
            settle()
            with Listeners(FIRST + FEW, MANY - FEW) as many:
                out["ms_per_listen"] = many.ms / (MANY - FEW)
                out["rss_busy_kb"] = daemon.rss_kb()
                time.sleep(REST_SECONDS)
                out["rss_kb"] = daemon.rss_kb()
                times = latency(MANY)
                out["median_many_ms"] = statistics.median(times)
                out["p99_many_ms"] = statistics.quantiles(times, n=100)[98]
        answer = subprocess.run([*RDMACM, "connect", OTHER, "7300"], check=True, stdout=subprocess.PIPE, text=True)
        out["no_mapper_connect_s"] = int(answer.stdout.split()[0]) / 1000
    print(who, json.dumps(out), flush=True)
    return out


def main():
    """Writes result.json."""
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
    result = {"kernel": os.uname().release, "few": FEW, "many": MANY, "figures": measure(os.environ["VMTEST_WHO"])}
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
