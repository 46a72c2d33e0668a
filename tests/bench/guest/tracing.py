# SPDX-License-Identifier: BSD-2-Clause
"""ftrace in the guest: exact times on CLOCK_MONOTONIC, without a process that looks.

Formats: Documentation/trace/ftrace.rst and kprobetrace.rst in the kernel's source.
"""

import os
import pathlib
import re

ROOT = pathlib.Path("/sys/kernel/tracing")
LINE = re.compile(r"\s*(.+)-(\d+)\s+\[(\d+)\]\s+\S+\s+(\d+\.\d+): (\w+): (.*)")
FIELD = re.compile(r"(\w+)=(\S+)")
# The phases of a module load, as kprobes: name, function. Each has an entry and a return event.
PHASES = {
    "finit": "__x64_sys_finit_module",
    "readfile": "kernel_read_file_from_fd",
    "sig": "module_sig_check",
    "init": "do_init_module",
    "delete": "__x64_sys_delete_module",
}
BUFFER_KB = 16384


class Event:
    """One line of the trace: ms since boot, task, event name, fields."""

    def __init__(self, match):
        self.comm, self.pid, self.cpu = match[1].strip(), int(match[2]), int(match[3])
        self.ms = float(match[4]) * 1000
        self.name = match[5]
        self.text = match[6]

    @property
    def fields(self):
        return dict(FIELD.findall(self.text))


def _write(name, text, flags=os.O_TRUNC):
    # Not open(): it asks for the position in the file, and these files have none.
    handle = os.open(ROOT / name, os.O_WRONLY | flags)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def probe(functions):
    """Makes an event of each function of the kernel (name to function), recorded from the next start() on until stop()."""
    for name, function in functions.items():
        if not (ROOT / f"events/bench/{name}").exists():
            _write("kprobe_events", f"p:bench/{name} {function}\n", os.O_APPEND)
        _write(f"events/bench/{name}/enable", "1")


def start(events, phases=()):
    """Empties the trace and records the events and the phases of module loads from now on."""
    _write("tracing_on", "0")
    _write("trace_clock", "mono")
    _write("buffer_size_kb", str(BUFFER_KB))
    for phase in phases:
        if not (ROOT / f"events/bench/{phase}").exists():
            _write("kprobe_events", f"p:bench/{phase} {PHASES[phase]}\n", os.O_APPEND)
            _write("kprobe_events", f"r:bench/{phase}_end {PHASES[phase]} status=$retval\n", os.O_APPEND)
        _write(f"events/bench/{phase}/enable", "1")
        _write(f"events/bench/{phase}_end/enable", "1")
    for event in events:
        _write(f"events/{event}/enable", "1")
    _write("trace", "")
    _write("tracing_on", "1")


def stop():
    """Ends the recording; the events stay readable."""
    _write("tracing_on", "0")
    _write("events/enable", "0")


def read():
    """All events recorded, in the order of time."""
    with open(ROOT / "trace", encoding="utf-8", errors="replace") as handle:
        matches = (LINE.match(line) for line in handle)
        return sorted((Event(match) for match in matches if match), key=lambda event: event.ms)


def module_loads(events):
    """Each call of finit_module: module (None when the kernel refused the file before it knew the name), start and
    end in ms, status, and the milliseconds of each phase inside."""
    open_calls = {}
    done = []
    for event in events:
        call = open_calls.get(event.pid)
        if event.name == "finit":
            open_calls[event.pid] = {
                "module": None, "pid": event.pid, "comm": event.comm, "start": event.ms, "began": {}, "phases": {},
            }  # fmt: skip
        elif call is None:
            continue
        elif event.name == "module_load":
            call["module"] = event.text.split()[0]
        elif event.name == "finit_end":
            call["end"] = event.ms
            status = event.fields.get("status", "0x0")
            call["status"] = int(status, 16) if status.startswith("0x") else int(status)
            del open_calls[event.pid], call["began"]
            done.append(call)
        elif event.name.endswith("_end") and event.name[:-4] in call["began"]:
            phase = event.name[:-4]
            call["phases"][phase] = call["phases"].get(phase, 0) + event.ms - call["began"].pop(phase)
        elif event.name in PHASES:
            call["began"][event.name] = event.ms
    return done
