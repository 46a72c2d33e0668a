# SPDX-License-Identifier: BSD-2-Clause
"""Reads journalctl's export format, and turns a guest's journal and marks into text and a timeline.

Format: https://systemd.io/JOURNAL_EXPORT_FORMATS/
"""

import dataclasses

STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPED = "9d1aaa27d60140bd96365438aad20286"
FAILED = "be02cf6855d2428ba40df7e9d022f03d"


def parse_export(data):
    """Yields each entry as a dictionary of str to str. A cut-off last entry is dropped."""
    entry = {}
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            return
        line = data[at:end]
        at = end + 1
        if not line:
            if entry:
                yield entry
            entry = {}
            continue
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(data[at : at + 8], "little")
            value = data[at + 8 : at + 8 + size]
            if len(value) != size:
                return
            at += 8 + size + 1
        entry[name.decode(errors="replace")] = value.decode(errors="replace")
    if entry:
        yield entry


def milliseconds(entry):
    """When it happened, on the guest's monotonic clock: at the sender if it said so, else when journald got it."""
    return int(entry.get("_SOURCE_MONOTONIC_TIMESTAMP") or entry.get("__MONOTONIC_TIMESTAMP") or 0) / 1000


def as_text(entries):
    """The journal as journalctl -o short-monotonic would show it."""
    lines = []
    for entry in entries:
        who = entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or "?"
        if "_PID" in entry:
            who += f"[{entry['_PID']}]"
        lines.append(f"[{milliseconds(entry) / 1000:12.6f}] {who}: {entry.get('MESSAGE', '')}")
    return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True, order=True)
class Event:
    """One line of a timeline: kind is mark, module, unit-started, unit-stopped, unit-failed or message."""

    ms: float
    kind: str
    subject: str
    text: str


def timeline(entries, marks):
    """What happened when: the scenario's marks, units that started, stopped or failed, modules that were loaded."""
    events = []
    for line in marks.splitlines():
        ms, _, text = line.partition(" ")
        if ms.isdigit():
            events.append(Event(float(ms), "mark", "", text))
    kinds = {STARTED: "unit-started", STOPPED: "unit-stopped", FAILED: "unit-failed"}
    for entry in entries:
        ms = milliseconds(entry)
        message = entry.get("MESSAGE", "")
        if "KMOD" in entry:
            events.append(Event(ms, "module", entry["KMOD"], message))
        elif "RDMA_DEVICE" in entry:
            events.append(Event(ms, "message", entry["RDMA_DEVICE"], message))
        elif entry.get("MESSAGE_ID") in kinds and "UNIT" in entry:
            events.append(Event(ms, kinds[entry["MESSAGE_ID"]], entry["UNIT"], message))
    return sorted(events)


def timeline_text(events):
    """One line an event."""
    return "".join(f"{e.ms:10.1f} ms  {e.kind:<13} {e.subject + '  ' if e.subject else ''}{e.text}\n" for e in events)
