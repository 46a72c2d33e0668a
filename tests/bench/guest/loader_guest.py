# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the loader benchmark: loads the same lists by different programs, in turns, and writes the times."""

import json
import os
import pathlib
import subprocess
import time

import tracing

LISTS = {
    "full": (
        "ib_umad ib_uverbs rdma_ucm ib_ipoib rpcrdma ib_iser ib_isert ib_srp ib_srpt nvme_rdma nvmet_rdma rds_rdma "
        "9pnet_rdma"
    ).split(),
    "standard": "ib_iser ib_uverbs rdma_ucm xprtrdma svcrdma".split(),
}
OURS = "/usr/lib/rdma-boot/rdma-load-modules"
SYSTEMD = "/lib/systemd/systemd-modules-load"
UNLOAD_ROUNDS = 20
# No method may be so slow that the benchmark never ends.
ONE_LOAD_SECONDS = 120


def modules():
    """Live modules: name to number of users."""
    with open("/proc/modules", encoding="ascii") as handle:
        return {line.split()[0]: int(line.split()[2]) for line in handle}


def methods(name):
    """Method to command, for a list that is in /etc/rdma/modules/bench-NAME.conf."""
    path = f"/etc/rdma/modules/bench-{name}.conf"
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(path).write_text("\n".join(LISTS[name]) + "\n", encoding="ascii")
    found = {
        "systemd": [SYSTEMD, path],
        "modprobe": ["/sbin/modprobe", "-a", *LISTS[name]],
    }
    if os.path.exists(OURS):
        found = {"ours": [OURS, f"bench-{name}"], **found, "ours_jobs1": [OURS, "--jobs=1", f"bench-{name}"]}
    return found


def settle():
    """Lets udev and the kernel finish what the last step caused."""
    subprocess.run(["udevadm", "settle", "--timeout=30"], check=False)


def unload(baseline):
    """Removes every module that is not in `baseline`."""
    for _ in range(UNLOAD_ROUNDS):
        extra = {name: users for name, users in modules().items() if name not in baseline}
        if not extra:
            return
        free = [name for name, users in extra.items() if users == 0]
        if free:
            subprocess.run(["rmmod", *free], check=False)
        else:
            time.sleep(0.2)
    raise SystemExit(f"cannot unload: {sorted(set(modules()) - set(baseline))}")


def drop_caches():
    """Makes the next load read everything from the disk again, the loading program too."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")


def load(command, log):
    """Runs one loader to its end: wall, user and system milliseconds, start and end on CLOCK_MONOTONIC."""
    with open(log, "ab") as sink:
        started = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        child = os.posix_spawn(
            command[0], command, os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, sink.fileno(), 1), (os.POSIX_SPAWN_DUP2, sink.fileno(), 2)],
        )  # fmt: skip
        _, status, usage = os.wait4(child, 0)
        ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "wall": (ended - started) / 1e6,
        "user": usage.ru_utime * 1e3,
        "system": usage.ru_stime * 1e3,
        "start": started / 1e6,
        "end": ended / 1e6,
    }


def traced(command, log):
    """One load with its anatomy: from exec to the first finit_module, each module, and what the kernel did in it."""
    tracing.start(["module/module_load", "sched/sched_process_exec"], ["finit", "readfile", "sig", "init"])
    one = load(command, log)
    tracing.stop()
    events = tracing.read()
    calls = tracing.module_loads(events)
    execs = [e.ms for e in events if e.name == "sched_process_exec" and e.fields.get("filename") == command[0]]
    one["exec"] = min(execs, default=one["start"])
    one["calls"] = calls
    return one


def dependencies(names):
    """modules.dep of the running kernel, for these modules: name to what it needs (only the closest)."""
    release = os.uname().release
    needs = {}
    for line in pathlib.Path(f"/lib/modules/{release}/modules.dep").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")

        def plain(path):
            return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")

        if plain(name) in names:
            needs[plain(name)] = [plain(word) for word in rest.split()]
    return needs


def main():
    """Writes result.json: baseline, every run, the anatomy of each method, and the dependencies."""
    out = pathlib.Path(os.environ["VMTEST_OUT"])
    runs = int(os.environ.get("VMTEST_RUNS", "7"))
    smoke = os.environ.get("VMTEST_SMOKE") == "1"
    # Whatever an idle machine has loaded by now stays; the rest is ours to unload.
    time.sleep(1)
    settle()
    baseline = modules()
    result = {"baseline": sorted(baseline), "runs": [], "anatomy": [], "kernel": os.uname().release}
    pathlib.Path("/proc/sys/kernel/printk").write_text("1", encoding="ascii")
    log = out / "loaders.log"
    for name in LISTS:
        if smoke and name != "full":
            continue
        commands = methods(name)
        loaded = {}
        for cache in ("warm", "cold"):
            # Run 0 warms the caches, and lets ours measure the modules once; it is not counted.
            for number in range(0 if cache == "warm" and not smoke else 1, runs + 1):
                for method, command in commands.items():
                    if smoke and method == "ours_jobs1":
                        continue
                    if cache == "cold":
                        drop_caches()
                    one = load(command, log)
                    got = sorted(set(modules()) - set(baseline))
                    loaded.setdefault(method, got)
                    settle()
                    unload(baseline)
                    settle()
                    if sorted(modules()) != sorted(baseline):
                        raise SystemExit(f"state differs after {method}: {sorted(modules())}")
                    print(f"{name} {cache} {number} {method}: {one['wall']:.0f} ms, {len(got)} modules", flush=True)
                    result["runs"].append(
                        {"list": name, "cache": cache, "number": number, "method": method, "modules": got, **one}
                    )
        wanted = {tuple(got) for got in loaded.values()}
        if len(wanted) != 1:
            raise SystemExit(f"the methods did not load the same modules: {loaded}")
        for method, command in commands.items():
            if smoke and method not in ("ours", "systemd"):
                continue
            one = traced(command, log)
            settle()
            unload(baseline)
            settle()
            result["anatomy"].append({"list": name, "method": method, **one})
        result.setdefault("needs", {})[name] = dependencies(set(loaded["systemd"]))
    (out / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
