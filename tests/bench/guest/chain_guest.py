# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the chain benchmark. VMTEST_MODE says what is measured in this boot:

hotplug  the boot itself (no RDMA in it), then devices plugged in after it, VMTEST_RUNS times
early    a boot with a device that exists before sysinit.target (rxe-early.service)
"""

import json
import os
import pathlib
import re
import subprocess
import time

import tracing
import watching

NETDEV = "v0a"
DEVICE = "rxe0"
NODES = ("uverbs0", "rdma_cm", "umad0")
UNITS = (
    "rdma-hw.target rdma-load-modules@rdma.service rdma-load-modules@roce.service rdma-load-modules@infiniband.service "
    "rdma-ndd.service rdma-hw.path rdma-coldplug.service sysinit.target network-pre.target basic.target "
    "rxe-early.service systemd-udev-settle.service systemd-udev-trigger.service dev-infiniband-uverbs0.device "
    "sys-subsystem-rdma-devices-rxe0.device"
).split()
TIMES = {
    "began": "InactiveExitTimestampMonotonic",
    "exec": "ExecMainStartTimestampMonotonic",
    "exit": "ExecMainExitTimestampMonotonic",
    "active": "ActiveEnterTimestampMonotonic",
    "inactive": "InactiveEnterTimestampMonotonic",
}
IDLE_SECONDS = 3
# One hot-plug takes 1 to 3 s emulated; looking earlier would disturb it.
FIRST_LOOK_SECONDS = 4
LAST_LOOK_SECONDS = 30
MINIMUM_LISTS = ("rdma_ucm", "ib_uverbs")


def run(*command):
    """Runs a command that must succeed."""
    subprocess.run(command, check=True)


def output(*command):
    """The output of a command, whatever its status."""
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True).stdout


def now():
    """Milliseconds since boot."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6


def modules():
    """Names of the live modules."""
    with open("/proc/modules", encoding="ascii") as handle:
        return {line.split()[0] for line in handle}


def units():
    """Unit to its times in ms since boot, and its state."""
    found = {}
    text = output("systemctl", "show", "-p", "Id,ActiveState,Result,ConditionResult,ExecMainPID," + ",".join(TIMES.values()), *UNITS)
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        one = {name: int(values.get(key) or 0) / 1000 for name, key in TIMES.items()}
        found[values["Id"]] = {**{key: value for key, value in one.items() if value}, "state": values["ActiveState"],
                               "result": values.get("Result", ""), "condition": values.get("ConditionResult", ""),
                               "pid": int(values.get("ExecMainPID") or 0)}  # fmt: skip
    return found


def boot_times():
    """What systemd says of this boot, in ms, and the processor time of PID 1."""
    names = "UserspaceTimestampMonotonic", "FinishTimestampMonotonic", "UnitsLoadStartTimestampMonotonic"
    names += ("UnitsLoadFinishTimestampMonotonic",)
    values = dict(line.split("=", 1) for line in output("systemctl", "show", "-p", ",".join(names)).splitlines())
    times = {key.removesuffix("TimestampMonotonic").lower(): int(value) / 1000 for key, value in values.items()}
    return {
        "kernel": times["userspace"],
        "userspace": times["finish"] - times["userspace"],
        "unitsload": times["unitsloadfinish"] - times["unitsloadstart"],
        "finish": times["finish"],
    }


def pid1_ms():
    """Processor time of PID 1 so far (the precise counter of the scheduler)."""
    return int(pathlib.Path("/proc/1/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def node_birth(node):
    """When a node in devtmpfs was made, in ms since boot (its time stamp has the resolution of a timer tick)."""
    path = f"/dev/infiniband/{node}"
    if not os.path.exists(path):
        return None
    # ctime changes when udev sets the owner; only the birth time stays.
    born = output("stat", "-c", "%.W", path).strip()
    if not re.fullmatch(r"\d+\.\d+", born):
        return None
    offset = time.clock_gettime_ns(time.CLOCK_REALTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return float(born) * 1000 - offset / 1e6


def processes(events, since, until, own):
    """Programs started and processes and threads made in a window, without those of the benchmark (`own`: pids)."""
    execs, forks = [], []
    ours = set(own)
    for event in events:
        if not since <= event.ms <= until:
            continue
        if event.name == "task_newtask":
            flags = int(event.fields["clone_flags"], 16)
            child = int(event.fields["pid"])
            if event.pid in ours:
                ours.add(child)
                continue
            kind = "thread" if flags & 0x10000 else "process"
            # Made by kthreadd: a kernel thread, not a process.
            if event.pid != 2:
                forks.append({"ms": event.ms, "by": event.comm, "kind": kind, "pid": child})
        elif event.name == "sched_process_exec" and event.pid not in ours:
            execs.append({"ms": event.ms, "file": event.fields["filename"], "pid": event.pid})
    return execs, forks


def jobs():
    """True while PID 1 has jobs."""
    return "No jobs" not in output("systemctl", "list-jobs")


def plug(number, trace):
    """Plugs a device in and watches until nothing happens any more. Times are relative to just before."""
    watcher = watching.Watcher(NODES)
    if trace:
        tracing.start(
            ["module/module_load", "sched/sched_process_exec", "task/task_newtask"], ["finit", "readfile", "sig", "init"]
        )
    busy = pid1_ms()
    start = now()
    run("rdma", "link", "add", DEVICE, "type", "rxe", "netdev", NETDEV)
    added = now()
    time.sleep(FIRST_LOOK_SECONDS)
    until = now()
    busy = pid1_ms() - busy
    while True:
        active = output("systemctl", "show", "-P", "ActiveState", "rdma-hw.target").strip()
        if (active == "active" and not jobs()) or now() - start > LAST_LOOK_SECONDS * 1000:
            break
        time.sleep(1)
        until = now()
    tracing.stop()
    nodes = watcher.finish()
    events = tracing.read() if trace else []
    execs, forks = processes(events, start, until, {os.getpid()})
    loads = [call for call in tracing.module_loads(events) if call["start"] >= start]
    for item in execs + forks:
        item["ms"] -= start
    for call in loads:
        call["start"] -= start
        call["end"] -= start
    states = units()
    for state in states.values():
        for name in TIMES:
            if name in state:
                state[name] -= start
    return {
        "number": number,
        "added": added - start,
        "nodes": {name: when - start for name, when in nodes.items()},
        "units": states,
        "execs": execs,
        "forks": forks,
        "loads": loads,
        "pid1": busy,
        "modules": sorted(modules()),
    }


def unplug(baseline):
    """Takes the device away and removes what came with it, so that the next one finds what the first found."""
    run("rdma", "link", "delete", DEVICE)
    end = now() + LAST_LOOK_SECONDS * 1000
    while output("systemctl", "show", "-P", "ActiveState", "rdma-hw.target").strip() == "active" and now() < end:
        time.sleep(0.3)
    # rdma-core's loaders stay "active" for ever; only stopped they would load again.
    output("systemctl", "stop", "rdma-load-modules@*.service")
    for _ in range(30):
        extra = modules() - baseline
        if not extra:
            break
        users = {line.split()[0]: line.split()[2] for line in pathlib.Path("/proc/modules").read_text().splitlines()}
        free = [name for name in extra if users.get(name) == "0"]
        if free:
            subprocess.run(["rmmod", *free], check=False)
        else:
            time.sleep(0.2)
    if modules() - baseline:
        raise SystemExit(f"cannot unload {sorted(modules() - baseline)}")
    run("udevadm", "settle")


def hotplug(result):
    """The boot that has just ended, and hot-plugs after it."""
    end = now()
    tracing.stop()
    execs, _ = processes(tracing.read(), 0, result["boot"]["finish"], set())
    result["boot"].update(execs=execs, ended=end)
    repeats = int(os.environ.get("VMTEST_RUNS", "1"))
    if repeats == 0:
        return
    run("modprobe", "ib_core")
    run("ip", "link", "add", NETDEV, "type", "veth", "peer", "name", "v0b")
    run("ip", "address", "add", "10.9.0.1/24", "dev", NETDEV)
    for name in (NETDEV, "v0b"):
        run("ip", "link", "set", name, "up")
    run("udevadm", "settle")
    baseline = modules()
    result["plugs"] = []
    for number in range(1, repeats + 1):
        time.sleep(IDLE_SECONDS)
        one = plug(number, os.environ.get("VMTEST_TRACE", "1") == "1")
        print(
            f"plug {number}: rdma-hw.target after {one['units']['rdma-hw.target'].get('active', 0):.0f} ms, "
            f"rdma_cm after {one['nodes'].get('rdma_cm', 0):.0f} ms",
            flush=True,
        )
        result["plugs"].append(one)
        if number < repeats:
            unplug(baseline)


def early(result):
    """A boot with a device before sysinit.target: who was first?"""
    result["units"] = units()
    result["nodes"] = {node: node_birth(node) for node in NODES}
    result["modules"] = sorted(modules())


def main():
    """Writes result.json."""
    output("systemctl", "is-system-running", "--wait")
    busy = pid1_ms()
    result = {"boot": {**boot_times(), "pid1": busy}, "kernel": os.uname().release}
    {"hotplug": hotplug, "early": early}[os.environ["VMTEST_MODE"]](result)
    path = pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json"
    path.write_text(json.dumps(result), encoding="ascii")


main()
