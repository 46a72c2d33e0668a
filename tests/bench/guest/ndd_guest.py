# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the ndd benchmark: from a device that is asked for to its description, for the first device (whose event
starts the daemon) and for further ones (while it runs); then what the idle daemon costs."""

import json
import os
import pathlib
import re
import subprocess
import time

import tracing

IDLE_BEFORE_SECONDS = 3
SET_SECONDS = 20
# Device registered and description written, as the kernel sees them; other programs may wait for either.
PROBES = {"registered": "enable_device_and_get", "written": "node_desc_store"}


def run(*command):
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


def output(*command):
    """The output of a command."""
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout


def now():
    """Milliseconds since boot."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6


def description(device):
    """The description that a device has, or None."""
    try:
        return pathlib.Path(f"/sys/class/infiniband/{device}/node_desc").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def settle():
    """Waits until neither udev nor PID 1 has anything left to do."""
    run("udevadm", "settle")
    end = now() + 30000
    while "No jobs" not in output("systemctl", "list-jobs") and now() < end:
        time.sleep(0.2)


def plug(number, wanted):
    """Adds one device; ms from the request to its registration, the daemon's exec and readiness, and its description."""
    netdev, device = f"v{number}a", f"rxe{number}"
    run("ip", "link", "add", netdev, "type", "veth", "peer", "name", f"v{number}b")
    run("ip", "link", "set", netdev, "up")
    settle()
    time.sleep(IDLE_BEFORE_SECONDS)
    # The first device brings the module whose functions the probes are on: ib_core has to be there before.
    tracing.probe(PROBES)
    tracing.start(["sched/sched_process_exec"])
    start = now()
    run("rdma", "link", "add", device, "type", "rxe", "netdev", netdev)
    returned = now()
    end = start + SET_SECONDS * 1000
    while description(device) != wanted(device) and now() < end:
        time.sleep(0.25)
    settle()
    tracing.stop()
    times = {"returned": returned - start}
    for event in tracing.read():
        # The first of each: a description may be written again.
        if event.name in PROBES:
            times.setdefault(event.name, event.ms - start)
        elif event.fields.get("filename", "").endswith("/rdma-ndd"):
            times.setdefault("exec", event.ms - start)
    ready = int(output("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", "rdma-ndd") or 0) / 1000
    times["ready"] = ready - start if ready > start else None
    times["description"] = description(device)
    return times


def process(pid):
    """Memory and wake-ups of a process, from the kernel's own counters."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    value = {key: int(number) for key, number in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE)}
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    pss = int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
    return {
        "rss_kb": value["VmRSS"],
        "anonymous_kb": value["RssAnon"],
        "pss_kb": pss,
        "switches": value["voluntary_ctxt_switches"] + value["nonvoluntary_ctxt_switches"],
    }


def main():
    """Writes result.json."""
    subprocess.run(["systemctl", "is-system-running", "--wait"], check=False, stdout=subprocess.DEVNULL)
    run("modprobe", "ib_core")
    hostname = os.uname().nodename.split(".")[0]
    plugs = [plug(number, lambda device: f"{hostname} {device}") for number in range(int(os.environ.get("VMTEST_PLUGS", "2")))]
    pid = output("systemctl", "show", "-P", "MainPID", "rdma-ndd").strip()
    time.sleep(2)
    before = process(pid)
    seconds = int(os.environ.get("VMTEST_IDLE", "30"))
    time.sleep(seconds)
    after = process(pid)
    result = {
        "kernel": os.uname().release,
        "plugs": plugs,
        "idle": {**after, "seconds": seconds, "woken": after["switches"] - before["switches"]},
    }
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="utf-8")


main()
