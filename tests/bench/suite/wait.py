# SPDX-License-Identifier: BSD-2-Clause
"""How fast rdma-wait-online reacts and what it costs while it waits, against the loop that people write; and whether a
mount of NFS over RDMA and a disk by NVMe over RDMA that need it are there at every boot. --only takes parts: reaction, nfs,
nvme."""

from . import report, stats
from .guests import REPO, Guests, Variant

RUNS = 15
BOOTS = 10
# Set-up, the quiet time of three waiters, and the runs at about 4 s for all waiters together.
SECONDS_BEFORE, SECONDS_A_RUN = 150, 10
BOOT_SECONDS = 90
GOALS = {"reaction_ms": 50, "cpu_percent": 0.05}
PARTS = ("reaction", "nfs", "nvme")
# What the scenarios of the same names boot with.
STORAGE = {
    "nfs": Variant("rdma-boot", tree=REPO / "tests/vm/scenarios/nfs-over-rdma.files", packages=("nfs-kernel-server",)),
    "nvme": Variant("rdma-boot", tree=REPO / "tests/vm/scenarios/nvme-over-rdma.files", packages=("nvme-cli",)),
}


def parts_of(options):
    """The parts to measure: all, or those of --only."""
    parts = options.only.split(",") if options.only else list(PARTS)
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"--only: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    return parts


def implausible(figures):
    """What a smoke run must have produced."""
    problems = [
        f"{key} is {figures[key]}"
        for key in ("reaction_ms", "reaction_address_ms", "loop_reaction_ms")
        if key in figures and not 0 < (figures[key] or 0) < 5000
    ]
    for what, boots in (("boots_mounted", "boots"), ("boots_connected", "nvme_boots")):
        if figures.get(what) != figures.get(boots):
            problems.append(f"{what}: {figures[what]} of {figures[boots]}")
    return problems


def reaction(raw, figures):
    """The part of the page about one guest's times; adds its figures."""
    times, used = raw["times"], raw["cpu_percent"]
    figures |= {
        "reaction_ms": round(stats.median(times["wait-online port"]), 1),
        "reaction_address_ms": round(stats.median(times["wait-online address"]), 1),
        "loop_reaction_ms": round(stats.median(times["loop port"]), 1),
        "reaction_vs_loop": stats.ratio(times["wait-online port"], times["loop port"]),
        "cpu_percent": round(used["wait-online"], 2),
        "loop_cpu_percent": round(used["loop"], 2),
    }
    return [
        "From the last thing that was missing (the call that sets the netdev up, or gives it its address, begins) to the",
        "end of the waiter; ms, median (min-max). The loop is `until grep -q ACTIVE .../state; do sleep 1; done`, which is",
        "cheaper than the usual `ibstat | grep Active`.\n",
        report.table(["waiter", "ms"], [[name, stats.spread(values)] for name, values in times.items()]),
        "\nShare of one CPU, of the waiter and what it starts, over half a minute in which nothing happens. What",
        "rdma-wait-online uses is its look every 5 s, in case a notice was lost.\n",
        report.table(["waiter", "CPU"], [[name, f"{value:.2f} %"] for name, value in used.items()]),
    ]


def measure(options):
    """One guest for the times, then a boot for each try of the mount and of the connection."""
    runs = 3 if options.smoke else options.runs or RUNS
    boots = 1 if options.smoke else BOOTS
    parts = parts_of(options)
    raw = {}
    with Guests("wait", options) as guests:
        if "reaction" in parts:
            arguments = {"part": "reaction", "runs": runs}
            raw = guests.boot("reaction", Variant("rdma-boot"), arguments, SECONDS_BEFORE + runs * SECONDS_A_RUN)
        for part in STORAGE:
            if part in parts:
                raw[part] = [
                    guests.boot(f"{part}-{number}", STORAGE[part], {"part": part}, BOOT_SECONDS)
                    for number in range(1, boots + 1)
                ]
    kernel = raw.get("kernel") or next(raw[part][0]["kernel"] for part in parts if part in raw)
    figures, body = {}, []
    if "reaction" in parts:
        body += reaction(raw, figures)
    if "nfs" in parts:
        mounted, without = (sum(boot[key] for boot in raw["nfs"]) for key in ("with", "without"))
        figures |= {"boots_mounted": mounted, "boots_mounted_without": without, "boots": boots}
        body += [
            f"\nNFS over RDMA in fstab, the link up seconds after the server: mounted in {mounted} of",
            f"{boots} boots with `x-systemd.requires=rdma-online.target`, in {without} of {boots} without it.",
        ]
    if "nvme" in parts:
        connected, without = (sum(boot[key] for boot in raw["nvme"]) for key in ("with", "without"))
        figures |= {"boots_connected": connected, "boots_bound_without": without, "nvme_boots": boots}
        body += [
            "\nNVMe over RDMA, target and initiator on one host, the link up late: the disk is there in",
            f"{connected} of {boots} boots with both after `rdma-online.target`; a target that is not bound to its address in",
            f"{without} of {boots}.",
        ]
    goals = {key: goal for key, goal in GOALS.items() if key in figures}
    page = "\n".join([*body, "", report.goals(figures, goals)] if goals else body)
    machine = [f"Guest: kernel {kernel}, {options.image}, 2 CPUs emulated by software (QEMU TCG). {runs} runs each."]
    return figures, "Waiting for ports", page, machine, raw
