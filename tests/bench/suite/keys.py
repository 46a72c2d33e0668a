# SPDX-License-Identifier: BSD-2-Clause
"""What the key of a sink costs: a window, a registration for one transfer, a copy; by size, over soft-RoCE and soft-iWARP.
The engine's policy (src/engine/memory.hpp) rests on it."""

from . import report, stats
from .guests import Guests, Variant
from .native import build

RUNS = 5
SECONDS_BEFORE, SECONDS_A_RUN = 120, 90
SIZES = (4096, 16384, 32768, 65536, 131072, 262144, 1048576)
WAYS = {
    "window": "window in registered memory",
    "registration": "registration",
    "copy": "copy, buffer with a window",
    "copy-alone": "copy, buffer registered again",
}
LINKS = {"rxe": ("window", "registration", "copy", "copy-alone"), "siw": ("registration", "copy-alone")}
# What Settings::registration_bytes is: from here on memory that nobody registered is registered for the transfer.
DEFAULT = 65536


def implausible(figures):
    """What a smoke run must have produced."""
    return [f"{key} is {value}" for key, value in figures.items() if not 0.02 < (value or 0) < 50]


def best(values, link, way, size):
    """The shortest run: all that a busy machine and rxe's repetitions of lost packets do is to make a run longer."""
    return min(values[f"{link}_{way}_{size}"])


def present(raw, image, runs):
    """Figures and page of what was measured."""
    values, figures, body = raw["values"], {}, []
    for link, ways in LINKS.items():
        rows = [[f"{size // 1024} KiB", *(stats.spread(values[f"{link}_{way}_{size}"]) for way in ways)] for size in SIZES]
        body += [f"\n{link}; µs, median (min-max):\n", report.table(["size", *(WAYS[way] for way in ways)], rows)]
        for size in (4096, DEFAULT, 1048576):
            for way in ways[1:]:
                ratio = best(values, link, way, size) / best(values, link, ways[0], size)
                figures[f"{link}_{way}_vs_{ways[0]}_{size // 1024}k".replace("-", "_")] = round(ratio, 3)
    text = "\n".join(
        [
            "One PUT after the other, acknowledged, from registered memory, both engines in one process: the time until the sink has",
            "the bytes and its key is dead. Only the sink differs. A window is bound and invalidated in the chains that are sent",
            "anyway; a registration is two calls of the kernel; a copy goes through a buffer that is registered already, whose key",
            "dies with its window or, where there are none, by registering the buffer again, three at a time. The figures are ratios of",
            "the shortest runs: a busy machine, and packets that rxe sends again, only make a run longer.",
            *body,
        ]
    )
    machine = [f"Guest: kernel {raw['kernel']}, {image}, 2 CPUs emulated by software (QEMU TCG). {runs} runs each, by turns."]
    return figures, "Keys of the connection engine", text, machine, raw


def measure(options):
    """One guest."""
    runs = 1 if options.smoke else options.runs or RUNS
    program = build("engine_keys")
    with Guests("keys", options) as guests:
        tree = guests.tree_with(program)
        raw = guests.boot("pair", Variant("base", tree=tree), {"runs": runs}, SECONDS_BEFORE + runs * SECONDS_A_RUN)
    return present(raw, options.image, runs)
