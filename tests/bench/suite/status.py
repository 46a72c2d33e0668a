# SPDX-License-Identifier: BSD-2-Clause
"""`rdmactl status` of a snapshot with 200 devices of 8 ports, on this machine (no guest)."""

import os

from . import report
from .native import micro

GOALS = {"status_text_ms": 200}
KEYS = {"status/text/4": "status_text_ms", "status/text/128": "status_text_128_pkeys_ms", "status/json/4": "status_json_ms"}
WHAT = {
    "status_text_ms": "text",
    "status_text_128_pkeys_ms": "text, with P_Key tables of 128 entries",
    "status_json_ms": "JSON",
}
RUNS = 5


def implausible(figures):
    """What a smoke run must have produced."""
    return [f"{key} is missing" for key in KEYS.values() if not figures.get(key)]


def measure(options):
    """Builds and runs the program."""
    runs = 1 if options.smoke else options.runs or RUNS
    medians, raw = micro("status_bench", runs)
    figures, rows = {}, []
    for name, one in medians.items():
        if key := KEYS.get(name):
            figures[key] = round(one["cpu_time"], 1)
            rows.append([WHAT[key], figures[key]])
    body = "\n".join(
        [
            report.goals(figures, GOALS),
            "\n200 devices with 8 ports each below a directory in memory, as `rdmactl status --root` reads it: snapshot, readiness",
            "and text; processor time, that of the kernel included.\n",
            report.table(["", "ms"], rows),
            "\nWhat bounds it: opening files, some 36,000 of them. Each entry of a table is a file of its own.",
        ]
    )
    machine = [f"On the build machine itself ({os.cpu_count()} CPUs), median of {runs} repetitions, built as it is shipped (-O2)."]
    return figures, "Status of a large machine", body, machine, {"benchmarks": raw}
