# SPDX-License-Identifier: BSD-2-Clause
"""The port mapper under 100,000 datagrams a second, on this machine's own processors: an emulated one cannot make a third
of them. In a network of its own, without RDMA; what it maps was left by a process before it."""

import json
import os
import subprocess
import tempfile

from . import report
from .guests import REPO, VM, HarnessError
from .native import build

RATE, SECONDS, RUNS = 100000, 10, 5
# The sender keeps its rate by looking at the clock 50 times a second, and ends a little below it.
ASKED = RATE * 51 // 50
AT_LEAST = {"datagrams_per_s": RATE, "answered": 1}
AT_MOST = {"slowest_answer_ms": 1000, "growth_kb": 256}


def implausible(figures):
    """What a smoke run must have produced: an answer may be late on a busy machine, growth may not be."""
    problems = [] if figures["datagrams_per_s"] > 1000 else [f"no flood: {figures['datagrams_per_s']} datagrams a second"]
    return problems + ([f"it grew by {figures['growth_kb']} KiB"] if figures["growth_kb"] > AT_MOST["growth_kb"] else [])


def flood(program, seconds):
    """One daemon, one flood."""
    bench = REPO / "tests/bench/native/iwpm_flood.sh"
    with tempfile.TemporaryDirectory() as out:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", bench, program,
                   VM / "guest/vmtest/lib", ASKED, seconds, out]  # fmt: skip
        done = subprocess.run([str(word) for word in command], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise HarnessError(f"iwpm_flood.sh failed (it needs root):\n{done.stdout}")

        def text(name):
            with open(os.path.join(out, name), encoding="utf-8") as file:
                return file.read()

        before, after = (int(word) for word in text("rss").split())
        answers = [line.split() for line in text("answers").splitlines()]
        return {
            "datagrams_per_s": int(text("flood")),
            "answers_ms": [int(words[0]) if words[1:] == ["accept"] else None for words in answers],
            "rss_kb": [before, after],
            "counters": json.loads(text("dump"))["counters"],
        }


def measure(options):
    """Builds the daemon and floods it."""
    program = build("iwpmd")
    runs = 1 if options.smoke else options.runs or RUNS
    raw = [flood(program, 3 if options.smoke else SECONDS) for _ in range(runs)]
    answers = [ms for run in raw for ms in run["answers_ms"]]
    given = [ms for ms in answers if ms is not None]
    figures = {
        "datagrams_per_s": min(run["datagrams_per_s"] for run in raw),
        "answered": round(len(given) / len(answers), 3),
        "slowest_answer_ms": max(given, default=None),
        "growth_kb": max(run["rss_kb"][1] - run["rss_kb"][0] for run in raw),
    }
    rows = [
        [number, run["datagrams_per_s"], " ".join("none" if ms is None else str(ms) for ms in run["answers_ms"]), *run["rss_kb"]]
        for number, run in enumerate(raw, 1)
    ]
    body = "\n".join(
        [
            report.goals(figures, AT_LEAST, least=True),
            "",
            report.goals(figures, AT_MOST),
            "",
            "A third of the datagrams ask for a port that is mapped, a third for ports that nobody has, the rest is rubbish of all",
            "lengths; their sources are made up. Meanwhile a peer asks once a second, with one datagram: ms until it was answered.",
            "",
            report.table(["run", "datagrams a second", "answers, ms", "resident before, KiB", "after, KiB"], rows),
        ]
    )
    machine = [f"On this machine: {os.cpu_count()} processors, which the flood and the daemon share; 5,000 mappings."]
    return figures, "The port mapper under a flood", body, machine, raw
