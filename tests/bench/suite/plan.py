# SPDX-License-Identifier: BSD-2-Clause
"""Planning 100,000 synthetic modules on this machine (no guest): google benchmark on the loader's policy library."""

import os

from . import report
from .native import micro

GOALS = {"plan_100k_from_names_ms": 1000, "plan_100k_ms": 1000, "plan_100k_chain_ms": 1000, "plan_100k_hub_ms": 1000, "plan_100k_flat_ms": 1000}
KEYS = {
    "plan/like_kernel/1000": "plan_1k_ms",
    "plan/like_kernel/10000": "plan_10k_ms",
    "plan/like_kernel/100000": "plan_100k_ms",
    "plan/one_chain/100000": "plan_100k_chain_ms",
    "plan/one_hub/100000": "plan_100k_hub_ms",
    "plan/no_needs/100000": "plan_100k_flat_ms",
    "from_names/100000": "plan_100k_from_names_ms",
}
WHAT = {
    "plan_1k_ms": "1,000 modules, needs like the kernel's",
    "plan_10k_ms": "10,000 modules, needs like the kernel's",
    "plan_100k_ms": "100,000 modules, needs like the kernel's",
    "plan_100k_chain_ms": "100,000 modules in one chain",
    "plan_100k_hub_ms": "100,000 modules that all need one",
    "plan_100k_flat_ms": "100,000 modules without needs",
    "plan_100k_from_names_ms": "100,000 modules, needs like the kernel's, from names",
}
RUNS = 5


def implausible(figures):
    """What a smoke run must have produced."""
    problems = [f"{key} is missing" for key in KEYS.values() if not figures.get(key)]
    # The goal holds with a wide margin, so it may be asserted on a busy machine too.
    return problems + [f"{key} is {figures[key]}" for key in GOALS if figures.get(key, 0) > GOALS[key]]


def measure(options):
    """Builds and runs the program."""
    runs = 1 if options.smoke else options.runs or RUNS
    medians, raw = micro("plan_bench", runs)
    figures, rows = {}, []
    for name, one in medians.items():
        if key := KEYS.get(name):
            # It computes and does nothing else: processor time is the same figure without the machine's other work.
            figures[key] = round(one["cpu_time"], 2)
            size = int(name.rsplit("/", 1)[1])
            rows.append([WHAT[key], figures[key], round(one["cpu_time"] * 1e6 / size)])
    body = "\n".join(
        [
            report.goals(figures, GOALS),
            "\nGraph::finish() (cycles, order, longest chains) and a simulated run of the scheduler with four jobs; processor time.",
            "*From names*: expand() too, which asks a module index (here a table in memory) about every module.\n",
            report.table(["", "ms", "ns a module"], rows),
            "\nWhat bounds it: memory. The graph of 100,000 modules no longer fits the caches, and the ready queue is",
            "a balanced tree (logarithmic); nothing is quadratic, not even one chain or one hub.",
        ]
    )
    machine = [f"On the build machine itself ({os.cpu_count()} CPUs), median of {runs} repetitions, built as it is shipped (-O2)."]
    return figures, "Planning many modules", body, machine, {"benchmarks": raw}
