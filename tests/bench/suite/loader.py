# SPDX-License-Identifier: BSD-2-Clause
"""Loading a list of modules: ours against systemd-modules-load and modprobe, in turns in one guest."""

from . import report, stats
from .guests import Guests, Variant

RUNS = 7
GOALS = {
    "warm_vs_systemd": 0.60,
    "cold_vs_systemd": 0.85,
    "standard_warm_vs_systemd": 0.60,
    "standard_cold_vs_systemd": 0.85,
    "runs_failed": 0,
}
TITLES = {
    "ours": "rdma-load-modules",
    "ours_jobs1": "rdma-load-modules --jobs=1",
    "systemd": "systemd-modules-load",
    "modprobe": "modprobe -a",
}
LISTS = {"full": "the full RDMA list", "standard": "the standard list (rdma.conf)"}
# A guest that takes longer than this hangs.
SECONDS_A_RUN = 90


def walls(raw, chosen, cache, method):
    """The wall times of one method."""
    return [
        run["wall"]
        for run in raw["runs"]
        if (run["list"], run["cache"], run["method"]) == (chosen, cache, method) and run["number"] > 0
    ]


def figures_of(raw):
    """The ratios and medians by name. Names without a list are of the full list."""
    found = {}
    for chosen in LISTS:
        prefix = "" if chosen == "full" else "standard_"
        for cache in ("warm", "cold"):
            for method, title in (("systemd", "systemd"), ("modprobe", "modprobe"), ("ours_jobs1", "jobs1")):
                ours, peer = walls(raw, chosen, cache, "ours"), walls(raw, chosen, cache, method)
                if ours and peer:
                    found[f"{prefix}{cache}_vs_{title}"] = stats.ratio(ours, peer)
            for method in TITLES:
                values = walls(raw, chosen, cache, method)
                if values:
                    found[f"{prefix}{cache}_{method}_ms"] = round(stats.median(values), 1)
    # A loader that loads everything and calls it a failure would fail its unit.
    found["runs_failed"] = sum(run["status"] != 0 for run in raw["runs"] if run["method"].startswith("ours"))
    return found


def anatomy_rows(raw, chosen):
    """Where the time of one traced run goes, a row a method."""
    rows = []
    for one in raw["anatomy"]:
        if one["list"] != chosen or not one["calls"]:
            continue
        calls = one["calls"]
        total = sum(call["end"] - call["start"] for call in calls)
        phase = {name: sum(call["phases"].get(name, 0) for call in calls) for name in ("readfile", "sig", "init")}
        first, last = min(call["start"] for call in calls), max(call["end"] for call in calls)
        cost = {call["module"]: call["end"] - call["start"] for call in calls if call["module"]}
        chain, names = stats.longest_chain(raw["needs"][chosen], cost)
        rows.append(
            [
                TITLES[one["method"]],
                f"{one['wall']:.0f}",
                f"{one['exec'] - one['start']:.0f}",
                f"{first - one['exec']:.0f}",
                f"{last - first:.0f}",
                f"{one['end'] - last:.0f}",
                f"{len(calls)} ({sum(1 for call in calls if call['status'] != 0)})",
                f"{total:.0f}",
                f"{phase['readfile']:.0f}",
                f"{phase['sig']:.0f} ({100 * phase['sig'] / total:.0f} %)",
                f"{phase['init']:.0f}",
                f"{chain:.0f}: {' '.join(names)}",
            ]
        )
    return rows


def body_of(raw, figures, runs):
    """The tables."""
    parts = [report.goals(figures, GOALS)]
    for chosen, title in LISTS.items():
        count = {len(run["modules"]) for run in raw["runs"] if run["list"] == chosen}
        if not count:
            continue
        rows = []
        for method, name in TITLES.items():
            warm, cold = walls(raw, chosen, "warm", method), walls(raw, chosen, "cold", method)
            if warm:
                rows.append(
                    [name, stats.spread(warm), stats.ratio(warm, walls(raw, chosen, "warm", "systemd")),
                     stats.spread(cold), stats.ratio(cold, walls(raw, chosen, "cold", "systemd"))]
                )  # fmt: skip
        parts += [
            f"\n## {title[0].upper()}{title[1:]}: {max(count)} modules with what they need",
            f"\nMilliseconds from starting the program to its end, median (min-max) of {runs}.\n",
            report.table(["", "warm", "of systemd", "cold", "of systemd"], rows),
            "\nWhere the time goes, in one more warm run under ftrace (ms; tracing itself costs some of it). Phases are",
            "summed over all calls of finit_module, so with two workers they add up to more than the wall time.\n",
            report.table(
                ["", "wall", "to exec", "exec to first load", "loading", "after", "calls (in vain)", "sum of calls",
                 "reading", "signatures", "init functions", "longest chain"],
                anatomy_rows(raw, chosen),
            ),
        ]  # fmt: skip
    parts += [
        "\n## What bounds it",
        "",
        "- The processors: a module load is computation in the kernel (checking the signature, patching code, the init",
        "  function); the lower bound is the larger of *sum of calls / processors* and *longest chain*.",
        "- *exec to first load* is ours to shorten: start-up of the program, reading the lists, the module index and",
        "  modprobe.d, building the graph.",
        "- The standard list is mostly one chain: sunrpc and rpcrdma are more than half of its work, and have to be done one",
        "  after the other, by one processor. Two processors gain less there.",
        "- *calls in vain* are files that were read and checked although somebody else had loaded that module.",
        "- Debian 12's modules are not compressed; there is no decompression in these figures.",
    ]
    return "\n".join(parts)


def implausible(figures):
    """What a smoke run must have produced."""
    wrong = [key for key in ("warm_vs_systemd", "cold_vs_systemd", "warm_vs_modprobe") if not figures.get(key)]
    problems = [f"{key} is missing" for key in wrong]
    if figures["runs_failed"]:
        problems.append(f"{figures['runs_failed']} runs of ours ended with a failure")
    for key, value in figures.items():
        if "_vs_" in key and not 0.05 < value < 20:
            problems.append(f"{key} is {value}")
    return problems


def measure(options):
    """Boots one guest and does everything in it."""
    runs = 1 if options.smoke else options.runs or RUNS
    with Guests("loader", options) as guests:
        # Without the rule that makes udev and systemd load as soon as ib_uverbs is there: here nobody helps anybody.
        masked = (("/etc/udev/rules.d/90-rdma-ulp-modules.rules", None),)
        variant = Variant((options.only or "rdma-boot").split(",")[0], files=masked)
        timeout = 120 if options.smoke else (runs + 2) * SECONDS_A_RUN
        arguments = {"runs": runs, "smoke": int(options.smoke)}
        raw = guests.boot("loader", variant, arguments, timeout)
    figures = figures_of(raw)
    machine = [
        f"Guest: kernel {raw['kernel']}, 2 CPUs emulated by software (QEMU TCG), 2 GB. Ratios compare well, absolute "
        "times are several times those of hardware.",
        "Per run: load, note the modules, remove all of them again, check that the state is that of the start. Methods "
        "take turns. Cold: page cache dropped before, so the program, the module index and the files come from the disk.",
    ]
    return figures, "Loading module lists", body_of(raw, figures, runs), machine, raw
