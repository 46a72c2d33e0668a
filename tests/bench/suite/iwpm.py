# SPDX-License-Identifier: BSD-2-Clause
"""The iWARP port mapper: ours and rdma-core's, taking turns."""

from . import report, stats
from .guests import Guests, Variant
from .native import build

RUNS = 5
BOOT_SECONDS = 400
WHO = ("ours", "theirs")
# Ratios of ours to rdma-core's: at least, or at most.
AT_LEAST = {"mappings_vs_upstream": 1, "queries_vs_upstream": 2}
AT_MOST = {"p99_vs_upstream": 0.5, "rss_vs_upstream": 1, "no_mapper_connect_s": 0.1, "wakeups_per_minute": 0}
WHAT = {
    "mappings_per_s": "listen and close, a second (a mapping added and removed)",
    "cpu_ms_per_mapping": "CPU time of the daemon for one of these, ms",
    "queries_per_s": "queries of peers answered, a second",
    "cpu_ms_per_query": "CPU time of the daemon for one query, ms",
    "median_ms": "latency of a query, 16 on their way, median, ms",
    "p99_ms": "the same, p99, ms",
    "median_alone_ms": "latency of a query, one after the other, median, ms",
    "p99_alone_ms": "the same, p99, ms",
    "median_many_ms": "latency of a query, one after the other, many mappings, median, ms",
    "p99_many_ms": "the same, p99, ms",
    "ms_per_listen": "time of one listen while many are made, ms",
    "rss_kb": "resident memory with many mappings, at rest for 3 s, KiB",
    "rss_busy_kb": "the same at once after the last was made, KiB",
    "wakeups_per_minute": "wake-ups a minute, idle",
    "no_mapper_connect_s": "connect to a host without a port mapper, s",
}


def spread(values):
    """Median, minimum and maximum with three digits: there are milliseconds and thousands."""
    return f"{stats.median(values):.3g} ({min(values):.3g}-{max(values):.3g})"


def implausible(figures):
    """What a smoke run must have produced. Ratios hold in any case; how large they are, a busy machine cannot tell."""
    keys = [*AT_LEAST, *AT_MOST]
    problems = [f"{key} is missing" for key in keys if figures.get(key) is None]
    if (figures.get("no_mapper_connect_s") or 0) > 5:
        problems.append(f"no_mapper_connect_s is {figures['no_mapper_connect_s']}")
    return problems


def measure(options):
    """A guest each, in turns."""
    runs = 1 if options.smoke else options.runs or RUNS
    load = build("mapper_load")
    boots = {who: [] for who in WHO}
    with Guests("iwpm", options) as guests:
        tree = guests.tree_with(load)
        for number in range(runs):
            for who in WHO if number % 2 == 0 else reversed(WHO):
                arguments = {"who": who, "smoke": int(options.smoke)}
                boots[who].append(guests.boot(who, Variant("rdma-boot", tree=tree), arguments, BOOT_SECONDS, pool=True))
    values = {who: {key: [boot["figures"][key] for boot in boots[who]] for key in WHAT} for who in WHO}
    middle = {who: {key: stats.median(values[who][key]) for key in WHAT} for who in values}

    def ratio(key):
        return round(middle["ours"][key] / middle["theirs"][key], 3)

    figures = {
        "mappings_vs_upstream": ratio("mappings_per_s"),
        "queries_vs_upstream": ratio("queries_per_s"),
        "p99_vs_upstream": ratio("p99_ms"),
        "p99_alone_vs_upstream": ratio("p99_alone_ms"),
        "p99_many_vs_upstream": ratio("p99_many_ms"),
        "cpu_per_query_vs_upstream": ratio("cpu_ms_per_query"),
        "cpu_per_mapping_vs_upstream": ratio("cpu_ms_per_mapping"),
        "rss_vs_upstream": ratio("rss_kb"),
        "rss_busy_vs_upstream": ratio("rss_busy_kb"),
        "no_mapper_connect_s": round(middle["ours"]["no_mapper_connect_s"], 3),
        "no_mapper_connect_upstream_s": round(middle["theirs"]["no_mapper_connect_s"], 3),
        "wakeups_per_minute": middle["ours"]["wakeups_per_minute"],
        "wakeups_per_minute_upstream": middle["theirs"]["wakeups_per_minute"],
    }
    rows = [[text, spread(values["ours"][key]), spread(values["theirs"][key])] for key, text in WHAT.items()]
    wanted = [[f"`{key}`", figures[key], f"at least {least}", "met" if figures[key] >= least else "**missed**"] for key, least in AT_LEAST.items()]
    wanted += [[f"`{key}`", figures[key], f"at most {most}", "met" if figures[key] <= most else "**missed**"] for key, most in AT_MOST.items()]
    first = boots["ours"][0]
    body = "\n".join(
        [
            report.table(["figure", "value", "goal", ""], wanted),
            "",
            report.table([f"{first['few']} mappings, many: {first['many']}", "ours", "rdma-core's"], rows),
            "",
            "Load comes from the same guest, and shares its two processors and its loopback with the daemon: the kernel's part of a",
            "query is the same for both. A boot each, because the kernel keeps what it was told of peers, and is slower afterwards.",
            "The kernel's own part is most of a listen too, so the CPU time of the daemon tells more of a mapping. Our limit of",
            "requests from one source is off: all come from one. A port that is reserved is the kernel's memory and in neither",
            "figure; at rest our daemon has given back its program text. Idle: 3 s after the start and later.",
        ]
    )
    machine = [f"Guest: kernel {first['kernel']}, {options.image}, 2 CPUs emulated by software (QEMU TCG). Median (min-max) of {runs}."]
    return figures, "The iWARP port mapper", body, machine, boots
