# SPDX-License-Identifier: BSD-2-Clause
"""What the loader's sandbox (or, with --only, that of another unit) costs: from PID 1's fork to the exec of the program,
setting by setting."""

from . import report, stats
from .guests import Guests, Variant

UNIT = "rdma-load-modules@rdma.service"
RUNS = 5
# 50 starts a run at less than 2 s each.
SECONDS_A_RUN = 120


def implausible(figures):
    """What a smoke run must have produced."""
    return [f"{key} is {figures.get(key)}" for key in ("bare_ms", "sandbox_ms") if not 1 < (figures.get(key) or 0) < 5000]


def measure(options):
    """Boots one guest and does everything in it."""
    runs = 1 if options.smoke else options.runs or RUNS
    with Guests("sandbox", options) as guests:
        unit = options.only or UNIT
        arguments = {"runs": runs, "smoke": int(options.smoke), "unit": unit}
        raw = guests.boot("sandbox", Variant("rdma-boot"), arguments, 60 + runs * SECONDS_A_RUN)
    middle = {name: stats.median(values) for name, values in raw["times"].items()}
    figures = {"bare_ms": round(middle["nothing"], 1), "sandbox_ms": round(middle["everything"], 1)}
    names = [name.removeprefix("only ") for name in middle if name.startswith("only ")]
    rows = [["nothing", stats.spread(raw["times"]["nothing"]), ""], ["everything", stats.spread(raw["times"]["everything"]), ""]]
    for name in sorted(names, key=lambda name: middle[f"without {name}"]):
        alone = f"{middle[f'only {name}'] - middle['nothing']:+.0f}"
        saved = f"{middle[f'without {name}'] - middle['everything']:+.0f}"
        rows.append([f"`{name}`", alone, saved])
    body = "\n".join(
        [
            f"The settings of `{unit}`, around `/bin/true`; ms, median (min-max), then differences of medians:",
            "what a setting adds when it is the only one, and what leaving it out saves.\n",
            report.table(["setting", "alone", "all but this"], rows),
            "\nWhat bounds it: the emulated processor builds one system call filter after the other (each for the machine's",
            "three system call tables), and the kernel checks and translates them; mounts for the file system settings.",
        ]
    )
    machine = [f"Guest: kernel {raw['kernel']}, {options.image}, 2 CPUs emulated by software (QEMU TCG). Median of {runs}."]
    return figures, "The loader's sandbox", body, machine, raw
