# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the engine benchmark: our engine and perftest's programs by turns, between two addresses of one soft-RoCE
device; and connections a second, against cmtime."""

import json
import mmap
import os
import pathlib
import re
import subprocess
import time

PEER = "/usr/local/bin/engine_peer"
HERE, THERE, DEVICE, NETDEV = "10.9.0.9", "10.9.0.1", "rxe0", "v0a"
# Transfers a run, so that each takes about a second when emulated: in shorter ones the beginning counts for a third.
COUNTS = {4096: 5000, 65536: 800, 1048576: 80}
# 4096 bytes of message: 3976 of payload behind the engine's and LNet's headers.
LATENCY_BYTES, LATENCY_COUNT = 3976, 3000
# To each of so many peers so many: an engine accepts eight at once of one peer.
PEERS, EACH = 6, 8
CONNECTIONS = PEERS * EACH
# They take a tenth of a second, so they are made more often, by turns.
CONNECT_RUNS = 4
LIMIT = 120


def run(*command):
    """A command that has to succeed; its output."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT).stdout


def touch_memory():
    """Uses most of the guest's memory once. The host gives it at the first touch, two megabytes at a time, each of which
    takes as long as four connections; whoever is measured first would pay for it."""
    free = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable"))
    with mmap.mmap(-1, free * 1024 * 4 // 5) as memory:
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1


def link():
    """One device with many addresses."""
    run("modprobe", "ib_uverbs")
    run("modprobe", "rdma_ucm")
    run("ip", "link", "add", NETDEV, "type", "veth", "peer", "name", "v0b")
    for last in (1, 9, *range(10, 10 + PEERS)):
        run("ip", "address", "add", f"10.9.0.{last}/24", "dev", NETDEV)
    for name in (NETDEV, "v0b"):
        run("ip", "link", "set", name, "up")
    run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", NETDEV)
    run("udevadm", "settle")
    time.sleep(3)


def gid_index():
    """The RoCE v2 entry of an address."""
    wanted = "0000:0000:0000:0000:0000:ffff:0a09:0001"
    base = pathlib.Path("/sys/class/infiniband") / DEVICE / "ports/1"
    for entry in sorted((base / "gids").iterdir(), key=lambda path: int(path.name)):
        kind = base / "gid_attrs/types" / entry.name
        if entry.read_text(encoding="ascii").strip() == wanted and "v2" in kind.read_text(encoding="ascii"):
            return entry.name
    raise SystemExit("no GID")


def served(command, ready):
    """A server that has said, or shown, that it is there."""
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    if ready:
        while ready not in server.stdout.readline():
            if server.poll() is not None:
                raise SystemExit(f"{command} ended")
    return server


def ours(*arguments):
    """One number of engine_peer, against its server on THERE."""
    return float(run(PEER, arguments[0], f"{HERE}@o2ib", f"{THERE}@o2ib", *map(str, arguments[1:])))


def perftest(program, arguments, column):
    """One number of a perftest program: it waits for its client on a port of TCP."""
    command = [program, "-d", DEVICE, "-x", gid_index(), "-F", "-p", "18600", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        text = ""
        for _ in range(50):
            time.sleep(0.2)
            done = subprocess.run([*command, THERE], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
            text = done.stdout
            if done.returncode == 0 and server.wait(timeout=LIMIT) == 0:
                break
    # The one line of figures begins with the size.
    rows = [line.split() for line in text.splitlines() if re.match(r"^\s*\d+\s+\d+\s+[\d.]+\s", line)]
    if not rows:
        raise SystemExit(f"{program}: {text}")
    return float(rows[-1][column])


def cmtime():
    """Connections a second, of all steps up to the connection; times of steps are in ms or us by the version."""
    with subprocess.Popen(["cmtime", "-b", THERE, "-p", "18700", "-c", str(CONNECTIONS)], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(25):
                time.sleep(0.2)
                begin = time.monotonic()
                done = subprocess.run(
                    ["cmtime", "-s", THERE, "-b", HERE, "-p", "18700", "-c", str(CONNECTIONS)],
                    check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT,
                )  # fmt: skip
                whole = time.monotonic() - begin
                if done.returncode == 0:
                    return done.stdout, whole
        finally:
            server.kill()
    raise SystemExit(f"cmtime: {done.stdout}")


def connect_rate(text):
    """Of cmtime's table: "step total ms max ms min us us / conn". What an engine does for a connection, too."""
    wanted = ("create id", "resolve addr", "resolve route", "create qp", "connect")
    total = 0.0
    for line in text.splitlines():
        found = re.match(r"^\s*([a-z ]+?)\s*:\s*([\d.]+)", line)
        if found and found[1] in wanted:
            total += float(found[2])
    if total == 0:
        raise SystemExit(f"cmtime: {text}")
    return CONNECTIONS / (total / 1000)


def once(result, add):
    """Every figure once, ours and the peer's one after the other."""
    for size, count in COUNTS.items():
        add(f"write_{size}", perftest("ib_write_bw", ["-s", size, "-n", max(count, 5), "-t", 8], 3))
        for verb in ("put", "get"):
            add(f"{verb}_{size}", ours(verb, size, count))
    add("send_lat", perftest("ib_send_lat", ["-s", 4096, "-n", LATENCY_COUNT], 4))
    add("latency", ours("latency", LATENCY_BYTES, LATENCY_COUNT))
    peers = [f"10.9.0.{10 + number}@o2ib" for number in range(PEERS)]
    for _ in range(CONNECT_RUNS):
        text, _ = cmtime()
        result["cmtime"] = text
        add("cmtime_connects", connect_rate(text))
        add("connects", float(run(PEER, "connects", f"{HERE}@o2ib", str(EACH), *peers)))


def main():
    """Writes result.json."""
    subprocess.run(["systemctl", "is-system-running", "--wait"], check=False, stdout=subprocess.DEVNULL)
    touch_memory()
    link()
    result = {"kernel": os.uname().release, "values": {}}

    def add(key, value):
        result["values"].setdefault(key, []).append(value)
        print(f"{key}: {value:.1f}", flush=True)

    nids = [f"10.9.0.{last}@o2ib" for last in (1, *range(10, 10 + PEERS))]
    server = served([PEER, "serve", *nids], "serving")
    for _ in range(int(os.environ.get("VMTEST_RUNS", "5"))):
        once(result, add)
    server.kill()
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
