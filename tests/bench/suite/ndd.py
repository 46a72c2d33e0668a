# SPDX-License-Identifier: BSD-2-Clause
"""The node description daemon against rdma-core's: how soon a device is described, and what the idle daemon costs."""

import collections

from . import report, stats
from .guests import Guests, Variant

BOOTS = 5
PLUGS = 3
IDLE_SECONDS = 60
SHORT_IDLE_SECONDS = 5
BOOT_SECONDS = 240
GOALS = {"set_vs_upstream": 0.6, "rss_vs_upstream": 1.0, "wakeups_per_minute": 0}
VARIANTS = ("rdma-boot", "rdma-core")


def implausible(figures):
    """What a smoke run must have produced."""
    wrong = [f"{key} is {figures.get(key)}" for key in ("set_ms", "rss_kb") if not 1 < (figures.get(key) or 0) < 20000]
    if figures.get("wakeups_per_minute") is None:
        wrong.append("no wake-ups were counted")
    return wrong


def measure(options):
    """Boots the variants in turns."""
    boots = 1 if options.smoke else options.runs or BOOTS
    raw = collections.defaultdict(list)
    with Guests("ndd", options) as guests:
        for number in range(boots):
            # Wake-ups take a minute to count, and one boot of each does for that.
            idle_seconds = SHORT_IDLE_SECONDS if options.smoke or number > 0 else IDLE_SECONDS
            arguments = {"plugs": 2 if options.smoke else PLUGS, "idle": idle_seconds}
            for name in VARIANTS:
                raw[name].append(guests.boot(name, Variant(name), arguments, BOOT_SECONDS))
    ours, core = VARIANTS

    def first(name, key="written"):
        return [boot["plugs"][0].get(key) for boot in raw[name]]

    def from_device(plug):
        return plug["written"] - plug["registered"] if plug.get("written") and plug.get("registered") else None

    def first_from_device(name):
        return [from_device(boot["plugs"][0]) for boot in raw[name]]

    def later(name):
        return [from_device(plug) for boot in raw[name] for plug in boot["plugs"][1:]]

    def idle(name, key):
        return [boot["idle"][key] for boot in raw[name]]

    def woken(name):
        return [boot["idle"]["woken"] * 60 / boot["idle"]["seconds"] for boot in raw[name][:1]]

    figures = {
        "set_vs_upstream": stats.ratio(first(ours), first(core)),
        "set_from_device_vs_upstream": stats.ratio(first_from_device(ours), first_from_device(core)),
        "set_later_device_vs_upstream": stats.ratio(later(ours), later(core)),
        "rss_vs_upstream": stats.ratio(idle(ours, "rss_kb"), idle(core, "rss_kb")),
        "pss_vs_upstream": stats.ratio(idle(ours, "pss_kb"), idle(core, "pss_kb")),
        "wakeups_per_minute": stats.median(woken(ours)),
        "wakeups_per_minute_upstream": stats.median(woken(core)),
        "set_ms": stats.median(first(ours)),
        "set_upstream_ms": stats.median(first(core)),
        "rss_kb": stats.median(idle(ours, "rss_kb")),
        "rss_upstream_kb": stats.median(idle(core, "rss_kb")),
    }
    rows = [
        [
            name,
            stats.spread(first(name)),
            stats.spread(first_from_device(name)),
            stats.spread(later(name)),
            stats.spread(first(name, "exec")),
            stats.spread(first(name, "ready")),
            stats.spread(first(name, "returned")),
        ]
        for name in VARIANTS
    ]
    memory = [
        [name, *(stats.spread(idle(name, key)) for key in ("rss_kb", "pss_kb", "anonymous_kb")), stats.spread(woken(name))]
        for name in VARIANTS
    ]
    body = "\n".join(
        [
            report.goals(figures, GOALS),
            "\n## From a device to its description\n",
            "The first device of a boot that was idle, ib_core loaded; its event starts the daemon, and with rdma-boot udev",
            "describes the device itself while it handles that event. ms from just before `rdma",
            "link add` to the first write of node_desc (kprobe), median (min-max). *From the device*: since the kernel",
            "registered it, so without the time that loading the driver takes. *A later device*: from its registration,",
            "while the daemon runs.\n",
            report.table(
                ["", "described", "from the device", "a later device", "daemon exec'd", "ready", "link add returned"], rows
            ),
            "\nrdma-core's daemon says that it is ready before it has written anything; ours when all is described. Before the",
            "kernel registers the device (the difference of the first two columns), the driver is loaded; rdma-boot loads",
            "what else the device needs at the same time.",
            "\n## The idle daemon\n",
            f"{SHORT_IDLE_SECONDS} s without an event, {IDLE_SECONDS} s in the first boot, whose wake-ups a minute (context switches of both kinds) are counted; kB.\n",
            report.table(["", "RSS", "PSS", "anonymous", "wake-ups a minute"], memory),
            "\nWhat bounds it: to the first description, the loading of the driver, udev's start of a worker, its rules and one",
            "helper. For the memory, the C library's pages; libsystemd and what it needs is left out of ours.",
        ]
    )
    kernel = raw[ours][0]["kernel"]
    machine = [
        f"Guest: kernel {kernel}, {options.image}, 2 CPUs emulated by software (QEMU TCG). {boots} boots of each, in turns."
    ]
    return figures, "Node descriptions", body, machine, raw
