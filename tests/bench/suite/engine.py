# SPDX-License-Identifier: BSD-2-Clause
"""The connection engine: bandwidth, latency and connection set-up against perftest and cmtime on the same soft-RoCE
device, and what a message and an idle connection cost without a network."""

from . import report, stats
from .guests import Guests, Variant
from .native import build, micro

RUNS = 5
SECONDS_BEFORE, SECONDS_A_RUN = 120, 240
SIZES = {"4k": 4096, "64k": 65536, "1m": 1048576}
AT_LEAST = {"put_1m_vs_ib_write_bw": 0.95, "put_64k_vs_ib_write_bw": 0.85, "connects_vs_cmtime": 0.9}
AT_MOST = {"ns_per_message": 1000, "allocs_per_message": 0}
# Of the micro-benchmark: a short PUT is one message each way every few transfers, and has no payload to speak of.
MESSAGES, IDLE = "messages/put/64", "idle_process/10000"


def implausible(figures):
    """What a smoke run must have produced. Ratios of two short runs on a busy machine mean nothing; that they are
    wildly wrong would."""
    problems = [f"{key} is {figures.get(key)}" for key in (*AT_LEAST, "latency_4k_vs_ib_send_lat", "get_1m_vs_ib_write_bw") if not 0.02 < (figures.get(key) or 0) < 50]
    if not 0 < (figures.get("ns_per_message") or 0) < 100_000:
        problems.append(f"ns_per_message is {figures.get('ns_per_message')}")
    if figures.get("allocs_per_message") != 0:
        problems.append(f"allocs_per_message is {figures.get('allocs_per_message')}")
    return problems


def measure(options):
    """The micro-benchmark here, then one guest for the rest."""
    runs = 1 if options.smoke else options.runs or RUNS
    costs, _ = micro("engine_bench", 1 if options.smoke else RUNS)
    program = build("engine_peer")
    with Guests("engine", options) as guests:
        tree = guests.tree_with(program)
        raw = guests.boot("pair", Variant("base", tree=tree), {"runs": runs}, SECONDS_BEFORE + runs * SECONDS_A_RUN)
    values = raw["values"]
    figures, rows = {}, []
    for name, size in SIZES.items():
        for verb in ("put", "get"):
            figures[f"{verb}_{name}_vs_ib_write_bw"] = stats.ratio(values[f"{verb}_{size}"], values[f"write_{size}"])
        rows.append([f"{size // 1024} KiB", *(stats.spread(values[f"{what}_{size}"]) for what in ("write", "put", "get"))])
    figures["latency_4k_vs_ib_send_lat"] = stats.ratio(values["latency"], values["send_lat"])
    figures["connects_vs_cmtime"] = stats.ratio(values["connects"], values["cmtime_connects"])
    cost = costs.get(MESSAGES, {})
    figures["ns_per_message"] = round(cost["ns_per_message"], 1) if "ns_per_message" in cost else None
    figures["allocs_per_message"] = cost.get("allocs_per_message")
    figures["bytes_per_idle_connection"] = round(costs.get(IDLE, {}).get("bytes_per_idle_connection") or 0) or None
    idle = [[name.rsplit("/", 1)[1], round(one["cpu_time"], 1), one["time_unit"]] for name, one in costs.items() if name.startswith("idle_process")]
    body = "\n".join(
        [
            "Between two addresses of one device, eight transfers under way, registered memory; MiB a second, median (min-max). What",
            "the engine does beside the write: a PUT asks and is answered before it writes, a GET asks, both end with a message.\n",
            report.table(["size", "ib_write_bw -t 8", "PUT", "GET"], rows),
            "",
            report.table(
                ["", "peer", "engine"],
                [
                    ["4 KiB message, one way, µs (ib_send_lat; IMMEDIATE)", stats.spread(values["send_lat"]), stats.spread(values["latency"])],
                    ["connections a second, 48 at once (cmtime; eight to each of six peers, until a message to each is through)", stats.spread(values["cmtime_connects"]), stats.spread(values["connects"])],
                ],
            ),
            "",
            report.goals(figures, AT_LEAST, least=True),
            "",
            report.goals(figures, AT_MOST),
            "\n`latency_4k_vs_ib_send_lat` and `get_1m_vs_ib_write_bw` have no goal. Cost of a look at all deadlines by the number of idle connections:\n",
            report.table(["connections", "time", "unit"], idle),
        ]
    )
    machine = [
        f"Guest: kernel {raw['kernel']}, {options.image}, 2 CPUs emulated by software (QEMU TCG), which both ends share. {runs} runs each, by turns.",
        "Time and allocations of a message, and memory of a connection: on the build machine, without a network (fabric that answers at once).",
    ]
    return figures, "The connection engine", body, machine, {**raw, "micro": costs}
