# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the sandbox benchmark: how long PID 1's child prepares before it executes a program, for no setting, for
each setting of a unit's [Service] section alone, for all of them, and for all but one."""

import json
import os
import pathlib
import subprocess
import time

import tracing

PROBE = "/etc/systemd/system/bench-probe.service"
PROGRAM = "/bin/true"
# What starts and ends the program; everything else in the section is the sandbox.
NOT_SANDBOX = ("Type", "RemainAfterExit", "Exec", "Restart", "Timeout", "KillMode", "NotifyAccess")


def settings():
    """The sandbox of the unit: groups of lines with one name (a list may be built by several lines)."""
    text = subprocess.run(["systemctl", "cat", os.environ["VMTEST_UNIT"]], check=True, stdout=subprocess.PIPE, text=True).stdout
    section, groups = "", {}
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith(("#", *NOT_SANDBOX)):
            groups.setdefault(line.split("=")[0], []).append(line)
    return groups


def once(lines):
    """One start of the program with these lines: ms from PID 1's fork to the exec of the program."""
    pathlib.Path(PROBE).write_text(
        "\n".join(["[Unit]", "DefaultDependencies=no", "[Service]", "Type=oneshot", f"ExecStart={PROGRAM}", *lines, ""]),
        encoding="ascii",
    )
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    # The reload leaves work behind in PID 1 and in udev.
    time.sleep(0.2)
    tracing.start(["sched/sched_process_exec", "task/task_newtask"])
    subprocess.run(["systemctl", "start", "bench-probe.service"], check=True)
    tracing.stop()
    events = tracing.read()
    for event in events:
        if event.name == "sched_process_exec" and event.fields.get("filename") == PROGRAM:
            for fork in events:
                if fork.name == "task_newtask" and int(fork.fields["pid"]) == event.pid:
                    return event.ms - fork.ms
    raise SystemExit("the program was not seen in the trace")


def main():
    """Writes result.json: name of a set of lines to its times."""
    subprocess.run(["systemctl", "is-system-running", "--wait"], check=False, stdout=subprocess.DEVNULL)
    groups = settings()
    sets = {"nothing": [], "everything": [line for lines in groups.values() for line in lines]}
    for name, lines in groups.items():
        sets[f"only {name}"] = lines
        sets[f"without {name}"] = [line for other, rest in groups.items() if other != name for line in rest]
    if os.environ.get("VMTEST_SMOKE") == "1":
        sets = {name: sets[name] for name in ("nothing", "everything")}
    once([])  # what is done for the first time takes longer: pages, the code translations of the emulator
    times = {name: [] for name in sets}
    for _ in range(int(os.environ.get("VMTEST_RUNS", "5"))):
        for name, lines in sets.items():
            times[name].append(once(lines))
    for name, values in times.items():
        print(f"{sorted(values)[len(values) // 2]:6.1f} ms  {name}", flush=True)
    result = {"kernel": os.uname().release, "times": times}
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
