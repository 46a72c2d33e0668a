# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the wait benchmark. VMTEST_PART=reaction: how long after the last missing thing each waiter ends, and
how much CPU it uses while nothing happens. VMTEST_PART=nfs, nvme: what the boot has
mounted or connected."""

import fcntl
import json
import os
import pathlib
import socket
import struct
import subprocess
import time

NETDEV, PEER, DEVICE, ADDRESS = "v0a", "v0b", "rxe0", "10.9.0.1"
STATE = f"/sys/class/infiniband/{DEVICE}/ports/1/state"
LOOP = f"until grep -q ACTIVE {STATE}; do sleep 1; done"
PROGRAM = "/usr/sbin/rdma-wait-online"
QUIET_SECONDS = 30
# <linux/sockios.h>, <linux/if.h>
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 0x1

WAITERS = {
    "wait-online port": ([PROGRAM, "--quiet", f"{DEVICE}:1"], "port"),
    "loop port": (["/bin/sh", "-c", LOOP], "port"),
    "wait-online address": ([PROGRAM, "--quiet", "--level=address", f"{DEVICE}:1"], "address"),
}


def run(*command):
    """A command that has to succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def link_up(control):
    """Without a process, which would take its own time."""
    request = struct.pack("16sH14x", NETDEV.encode(), 0)
    flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", NETDEV.encode(), flags | IFF_UP))


def add_address(control):
    """As `ifconfig` does it."""
    address = struct.pack("16sHH4s8x", NETDEV.encode(), socket.AF_INET, 0, socket.inet_aton(ADDRESS))
    fcntl.ioctl(control, SIOCSIFADDR, address)


def once(command, kind, control, pause):
    """One wait: ms from the event to the end of the waiter."""
    run("ip", "address", "flush", "dev", NETDEV)
    run("ip", "link", "set", NETDEV, "down" if kind == "port" else "up")
    time.sleep(0.5)
    with subprocess.Popen(command) as waiter:
        # It has started and looked, and each time at another moment of the loop's second.
        time.sleep(1.5 + pause)
        if waiter.poll() is not None:
            raise SystemExit(f"{command} did not wait")
        begin = time.monotonic()
        (link_up if kind == "port" else add_address)(control)
        status = waiter.wait(timeout=60)
        took = (time.monotonic() - begin) * 1000
    if status != 0:
        raise SystemExit(f"{command} ended with status {status}")
    return took


def cpu_percent(command):
    """Share of one CPU that a waiter and its children use while nothing happens."""
    run("ip", "link", "set", NETDEV, "down")
    run("systemd-run", "--quiet", "--unit=bench-waiter", "-p", "CPUAccounting=yes", *command)
    # Started, and done with what the link's going down brought.
    time.sleep(10)

    def used():
        text = subprocess.run(
            ["systemctl", "show", "-P", "CPUUsageNSec", "bench-waiter"], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        return int(text)

    before, begin = used(), time.monotonic()
    time.sleep(QUIET_SECONDS)
    share = (used() - before) / 1e9 / (time.monotonic() - begin) * 100
    run("systemctl", "stop", "bench-waiter")
    return share


def reaction():
    """Waiters take turns."""
    run("ip", "link", "add", NETDEV, "type", "veth", "peer", "name", PEER)
    run("ip", "link", "set", PEER, "up")
    run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", NETDEV)
    run("udevadm", "settle")
    time.sleep(3)
    times = {name: [] for name in WAITERS}
    runs = int(os.environ.get("VMTEST_RUNS", "15"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for number in range(runs):
            for name, (command, kind) in WAITERS.items():
                times[name].append(once(command, kind, control, number / runs))
    for name, values in times.items():
        print(f"{sorted(values)[len(values) // 2]:8.1f} ms  {name}: {[round(value) for value in values]}", flush=True)
    used = {
        "wait-online": cpu_percent([PROGRAM, "--timeout=0", f"{DEVICE}:1"]),
        "wait-online, level address": cpu_percent([PROGRAM, "--timeout=0", "--level=address", f"{DEVICE}:1"]),
        "loop": cpu_percent(["/bin/sh", "-c", LOOP]),
    }
    print(used, flush=True)
    return {"times": times, "cpu_percent": used}


def mounts():
    """1 for each mount of fstab that is there."""
    return {name: int(os.path.ismount(f"/mnt/{name}")) for name in ("with", "without")}


def nvme():
    """with: the disk of the target that waited is there, and is that one. without: the target that did not is bound."""

    def disk():
        found = [*pathlib.Path("/dev").glob("nvme*n1")]
        return bool(found) and found[0].open("rb").read(9) == b"over RDMA"

    end = time.monotonic() + 20
    while not disk() and time.monotonic() < end:
        time.sleep(0.2)
    bound = subprocess.run(["systemctl", "-q", "is-active", "target-without.service"], check=False).returncode == 0
    return {"with": int(disk()), "without": int(bound)}


PARTS = {"reaction": reaction, "nfs": mounts, "nvme": nvme}


def main():
    """Writes result.json."""
    subprocess.run(["systemctl", "is-system-running", "--wait"], check=False, stdout=subprocess.DEVNULL)
    result = {"kernel": os.uname().release, **PARTS[os.environ["VMTEST_PART"]]()}
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
