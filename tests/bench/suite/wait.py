# SPDX-License-Identifier: BSD-2-Clause
"""How fast rdma-wait-online reacts and what it costs while it waits, against the loop that people write; and whether a
mount of NFS over RDMA that needs it succeeds at every boot."""

from . import report, stats
from .guests import REPO, Guests, Variant

RUNS = 15
BOOTS = 10
# Set-up, the quiet time of three waiters, and the runs at about 4 s for all waiters together.
SECONDS_BEFORE, SECONDS_A_RUN = 150, 10
BOOT_SECONDS = 60
GOALS = {"reaction_ms": 50, "cpu_percent": 0.05}
# What the scenario of the same name boots with.
NFS = Variant(
    "rdma-boot", tree=REPO / "tests/vm/scenarios/nfs-over-rdma.files", packages=("nfs-kernel-server",)
)


def implausible(figures):
    """What a smoke run must have produced."""
    problems = [
        f"{key} is {figures.get(key)}"
        for key in ("reaction_ms", "reaction_address_ms", "loop_reaction_ms")
        if not 0 < (figures.get(key) or 0) < 5000
    ]
    if figures["boots_mounted"] != figures["boots"]:
        problems.append(f"mounted in {figures['boots_mounted']} of {figures['boots']} boots")
    return problems


def measure(options):
    """One guest for the times, then a boot for each try of the mount."""
    runs = 3 if options.smoke else options.runs or RUNS
    boots = 1 if options.smoke else BOOTS
    with Guests("wait", options) as guests:
        arguments = {"part": "reaction", "runs": runs}
        raw = guests.boot("reaction", Variant("rdma-boot"), arguments, SECONDS_BEFORE + runs * SECONDS_A_RUN)
        raw["mounts"] = [
            guests.boot(f"nfs-{number}", NFS, {"part": "mounts"}, BOOT_SECONDS) for number in range(1, boots + 1)
        ]
    times, used = raw["times"], raw["cpu_percent"]
    figures = {
        "reaction_ms": round(stats.median(times["wait-online port"]), 1),
        "reaction_address_ms": round(stats.median(times["wait-online address"]), 1),
        "loop_reaction_ms": round(stats.median(times["loop port"]), 1),
        "reaction_vs_loop": stats.ratio(times["wait-online port"], times["loop port"]),
        "cpu_percent": round(used["wait-online"], 2),
        "loop_cpu_percent": round(used["loop"], 2),
        "boots_mounted": sum(boot["with"] for boot in raw["mounts"]),
        "boots_mounted_without": sum(boot["without"] for boot in raw["mounts"]),
        "boots": boots,
    }
    rows = [[name, stats.spread(values)] for name, values in times.items()]
    shares = [[name, f"{value:.2f} %"] for name, value in used.items()]
    body = "\n".join(
        [
            "From the last thing that was missing (the call that sets the netdev up, or gives it its address, begins) to the",
            "end of the waiter; ms, median (min-max). The loop is `until grep -q ACTIVE .../state; do sleep 1; done`, which is",
            "cheaper than the usual `ibstat | grep Active`.\n",
            report.table(["waiter", "ms"], rows),
            "\nShare of one CPU, of the waiter and what it starts, over half a minute in which nothing happens. What",
            "rdma-wait-online uses is its look every 5 s, in case a notice was lost.\n",
            report.table(["waiter", "CPU"], shares),
            f"\nNFS over RDMA in fstab, the link up seconds after the server: mounted in {figures['boots_mounted']} of",
            f"{boots} boots with `x-systemd.requires=rdma-online.target`, in {figures['boots_mounted_without']} of {boots} without it.\n",
            report.goals(figures, GOALS),
        ]
    )
    machine = [f"Guest: kernel {raw['kernel']}, {options.image}, 2 CPUs emulated by software (QEMU TCG). {runs} runs each."]
    return figures, "Waiting for ports", body, machine, raw
