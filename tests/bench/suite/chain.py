# SPDX-License-Identifier: BSD-2-Clause
"""From a device that appears to rdma-hw.target: ours against Debian's rdma-core, boots taking turns in one run."""

import collections
import statistics

from . import report, stats
from .guests import BOOT_TRACE, Guests, HarnessError, Variant

BOOTS = 6
SYSINIT_BOOTS = 20
PLUGS = 2
BOOT_SECONDS = 150
GOALS = {
    "hotplug_vs_rdma_core": 0.65,
    "hotplug_from_device_vs_rdma_core": 0.65,
    "cm_ready_vs_rdma_core": 0.45,
    "execs_vs_rdma_core": 1.0,
    "forks_vs_rdma_core": 1.0,
}
EARLY = "systemd.wants=rxe-early.service"

DROPIN = "/etc/systemd/system/rdma-load-modules@.service.d/bench.conf"
# Each setting that makes systemd prepare something before it starts the loader, set back to its default.
NO_SANDBOX = "\n".join(
    ["[Service]", "CapabilityBoundingSet=~", "NoNewPrivileges=no", "ProtectSystem=no", "ReadWritePaths=",
     "ProtectHome=no", "ProtectClock=no", "ProtectHostname=no", "ProtectKernelLogs=no", "ProtectKernelTunables=no",
     "ProtectControlGroups=no", "ProtectProc=default", "DevicePolicy=auto", "RestrictAddressFamilies=",
     "RestrictNamespaces=no", "RestrictRealtime=no", "RestrictSUIDSGID=no", "LockPersonality=no",
     "MemoryDenyWriteExecute=no", "SystemCallArchitectures=", "SystemCallFilter=", "IPAddressDeny=", ""]
)  # fmt: skip
NO_MOUNTS = "\n".join(
    ["[Service]", "ProtectSystem=no", "ReadWritePaths=", "ProtectHome=no", "ProtectKernelLogs=no",
     "ProtectKernelTunables=no", "ProtectControlGroups=no", "ProtectProc=default", "ProtectHostname=no", ""]
)  # fmt: skip
NO_FILTERS = "\n".join(
    ["[Service]", "RestrictAddressFamilies=", "RestrictNamespaces=no", "RestrictRealtime=no", "RestrictSUIDSGID=no",
     "LockPersonality=no", "MemoryDenyWriteExecute=no", "SystemCallArchitectures=", "SystemCallFilter=",
     "ProtectClock=no", "ProtectKernelLogs=no", "ProtectHostname=no", "ProtectKernelTunables=no",
     "RestrictNamespaces=no", ""]
)  # fmt: skip
NO_BPF = "\n".join(["[Service]", "DevicePolicy=auto", "ProtectClock=no", "IPAddressDeny=", ""])
ONE_JOB = "\n".join(["[Service]", "ExecStart=", "ExecStart=/usr/lib/rdma-boot/rdma-load-modules --jobs=1 %I", ""])

VARIANTS = {
    "rdma-boot": Variant("rdma-boot"),
    "rdma-core": Variant("rdma-core"),
    # What its daemon of node descriptions and its helper for names cost.
    "rdma-core-without-ndd": Variant(
        "rdma-core",
        files=(
            ("/etc/systemd/system/rdma-ndd.service", None),
            ("/etc/udev/rules.d/60-rdma-ndd.rules", None),
            ("/etc/udev/rules.d/60-rdma-persistent-naming.rules", None),
        ),
    ),
    "base": Variant("base"),
}
# Only with --only: what one part of ours costs.
EXPERIMENTS = {
    "no-sandbox": Variant("rdma-boot", files=((DROPIN, NO_SANDBOX),)),
    "no-mounts": Variant("rdma-boot", files=((DROPIN, NO_MOUNTS),)),
    "no-filters": Variant("rdma-boot", files=((DROPIN, NO_FILTERS),)),
    "no-bpf": Variant("rdma-boot", files=((DROPIN, NO_BPF),)),
    "one-job": Variant("rdma-boot", files=((DROPIN, ONE_JOB),)),
    "no-rules": Variant("rdma-boot", files=(("/etc/udev/rules.d/75-rdma-description.rules", None),)),
}
STANDARD = {"rdma_ucm", "rpcrdma", "ib_iser"}
LOADERS = ("rdma-load-modules", "systemd-modules-load")
# Names of their tasks; our workers carry the name of the module they load.
COMMS = ("rdma-load", "load ", "systemd-mod")


def loader_times(plug):
    """The loader of rdma.conf in one hot-plug: what happened when, in ms after the device was asked for."""
    unit = plug["units"]["rdma-load-modules@rdma.service"]
    # ExecMainStart is when PID 1 forked; the program itself begins at its own exec (before it, systemd 255 and newer
    # execute a helper of their own in the same process).
    execs = [e for e in plug["execs"] if e["pid"] == unit["pid"] and e["file"].rsplit("/", 1)[-1] in LOADERS]
    if not execs:
        return None
    began = execs[0]["ms"]
    loads = [c for c in plug["loads"] if c["comm"].startswith(COMMS) and c["start"] >= began]
    if not loads:
        return None
    first, last = min(c["start"] for c in loads), max(c["end"] for c in loads)
    return {
        "fork": unit["exec"],
        "exec": began,
        "first": first,
        "last": last,
        "exit": unit.get("exit"),
        "active": plug["units"]["rdma-hw.target"].get("active"),
        "sum": sum(c["end"] - c["start"] for c in loads),
        "calls": len(loads),
    }


def complete(plug):
    """Whether the standard list was loaded; times of a loader that failed say nothing."""
    loader = plug["units"]["rdma-load-modules@rdma.service"]
    return STANDARD <= set(plug["modules"]) and loader["result"] == "success" and "rdma_cm" in plug["nodes"]


def counts(plug):
    """Programs and forks of one hot-plug. How many workers udevd keeps for its events is its own decision (the more events
    come at once, the more), so they are counted apart."""
    kinds = collections.Counter("worker" if fork["by"] == "systemd-udevd" else fork["kind"] for fork in plug["forks"])
    return {"execs": len(plug["execs"]), "processes": kinds["process"], "workers": kinds["worker"], "threads": kinds["thread"]}


def boot_execs(boot):
    """The programs a boot started, as a multiset of paths."""
    return collections.Counter(event["file"] for event in boot["boot"]["execs"])


class Chain:
    """All boots of a run, and the figures they give."""

    def __init__(self):
        self.plain = collections.defaultdict(list)
        self.early = collections.defaultdict(list)

    def plugs(self, variant, repeated=False):
        """The first hot-plug of each boot, or the later ones."""
        return [p for boot in self.plain[variant] for p in boot.get("plugs", []) if (p["number"] > 1) == repeated]

    def target_ms(self, variant, repeated=False):
        """rdma-hw.target active, ms after the device was asked for."""
        return [p["units"]["rdma-hw.target"].get("active") for p in self.plugs(variant, repeated)]

    def node_ms(self, variant, node, repeated=False):
        """A node can be opened, ms after the device was asked for."""
        return [p["nodes"].get(node) for p in self.plugs(variant, repeated)]

    def from_device_ms(self, variant, node=None, repeated=False):
        """rdma-hw.target active (or a node usable), ms after the device itself is there (uverbs0 can be opened)."""
        found = []
        for plug in self.plugs(variant, repeated):
            when = plug["nodes"].get(node) if node else plug["units"]["rdma-hw.target"].get("active")
            found.append(when - plug["nodes"]["uverbs0"] if when else None)
        return found

    def userspace(self, variant):
        """Boot time in user space of boots without RDMA."""
        return [boot["boot"]["userspace"] for boot in self.plain[variant]]

    def early_ms(self, variant):
        """rdma-hw.target active in boots with a device, ms after the unit that makes the device began."""
        return [
            boot["units"]["rdma-hw.target"].get("active", 0) - boot["units"]["rxe-early.service"]["began"]
            for boot in self.early[variant]
        ]

    def deferred(self, variant):
        """In which boots every loader that ran had ended before sysinit.target was reached."""
        found = []
        for boot in self.early[variant]:
            units = boot["units"]
            sysinit = units["sysinit.target"]["active"]
            loaders = [
                unit for name, unit in units.items() if name.startswith("rdma-load-modules@") and "began" in unit
            ]
            ended = [unit.get("active", float("inf")) for unit in loaders]
            standard = units["rdma-load-modules@rdma.service"].get("active", float("inf"))
            found.append(STANDARD <= set(boot["modules"]) and standard <= sysinit and all(ms <= sysinit for ms in ended))
        return found

    def figures(self):
        """The figures by name."""
        found = {}
        ours = self.target_ms("rdma-boot")
        core, bare = "rdma-core", "rdma-core-without-ndd"
        if ours and self.plugs(core):
            found["hotplug_vs_rdma_core"] = stats.ratio(ours, self.target_ms(core))
            found["cm_ready_vs_rdma_core"] = stats.ratio(
                self.node_ms("rdma-boot", "rdma_cm"), self.node_ms(core, "rdma_cm")
            )
            found["hotplug_from_device_vs_rdma_core"] = stats.ratio(
                self.from_device_ms("rdma-boot"), self.from_device_ms(core)
            )
            found["hotplug_again_vs_rdma_core"] = stats.ratio(
                self.target_ms("rdma-boot", True), self.target_ms(core, True)
            )
        if ours and self.plugs(bare):
            found["hotplug_vs_rdma_core_without_ndd"] = stats.ratio(ours, self.target_ms(bare))
            found["cm_ready_vs_rdma_core_without_ndd"] = stats.ratio(
                self.node_ms("rdma-boot", "rdma_cm"), self.node_ms(bare, "rdma_cm")
            )
        for variant, name in (("rdma-boot", ""), (core, "_rdma_core"), (bare, "_rdma_core_without_ndd")):
            if plugs := self.plugs(variant):
                found[f"execs_hotplug{name}"] = round(statistics.median(counts(p)["execs"] for p in plugs), 1)
                found[f"forks_hotplug{name}"] = round(statistics.median(counts(p)["processes"] for p in plugs), 1)
                found[f"udev_workers_hotplug{name}"] = round(statistics.median(counts(p)["workers"] for p in plugs), 1)
                found[f"hotplug{name}_ms"] = round(stats.median(self.target_ms(variant)) or 0, 1)
                found[f"cm_ready{name}_ms"] = round(stats.median(self.node_ms(variant, "rdma_cm")) or 0, 1)
        for what in ("execs", "forks"):
            if (peer := found.get(f"{what}_hotplug_rdma_core")) and f"{what}_hotplug" in found:
                found[f"{what}_vs_rdma_core"] = round(found[f"{what}_hotplug"] / peer, 3)
        if self.early["rdma-boot"]:
            found["sysinit_deferred"] = sum(self.deferred("rdma-boot"))
            found["sysinit_boots"] = len(self.early["rdma-boot"])
        if self.early["rdma-boot"] and self.early[core]:
            found["boot_vs_rdma_core"] = stats.ratio(self.early_ms("rdma-boot"), self.early_ms(core))
        if self.early[core]:
            found["sysinit_deferred_rdma_core"] = sum(self.deferred(core))
            found["sysinit_boots_rdma_core"] = len(self.early[core])
        if ours and self.userspace("base"):
            mine, base = self.userspace("rdma-boot"), self.userspace("base")
            found["no_rdma_boot_cost_ms"] = round(stats.median(mine) - stats.median(base), 1)
            noise = [abs(value - stats.median(base)) for value in base]
            found["no_rdma_boot_noise_ms"] = round(stats.median(noise), 1)
            found["no_rdma_extra_execs"] = len(self.extra_execs("rdma-boot"))
        return found

    def extra_execs(self, variant):
        """Programs that every boot of the variant starts more often than any boot of the base image."""
        most = collections.Counter()
        for boot in self.plain["base"]:
            most |= boot_execs(boot)
        least = None
        for boot in self.plain[variant]:
            least = boot_execs(boot) if least is None else least & boot_execs(boot)
        return sorted(((least or collections.Counter()) - most).elements())


def hotplug_tables(chain):
    """Hot-plug: the headline, the steps, the programs, the modules."""
    names = [name for name in chain.plain if chain.plugs(name)]
    peer = "rdma-core"
    rows = []
    for again in (False, True):
        for name in names:
            target, node = chain.target_ms(name, again), chain.node_ms(name, "rdma_cm", again)
            if target:
                rows.append(
                    [name + (" (again)" if again else ""), stats.spread(target),
                     stats.ratio(target, chain.target_ms(peer, again)), stats.spread(node),
                     stats.ratio(node, chain.node_ms(peer, "rdma_cm", again)),
                     stats.spread(chain.node_ms(name, "uverbs0", again)),
                     stats.spread(chain.from_device_ms(name, None, again)),
                     stats.spread(chain.from_device_ms(name, "rdma_cm", again)),
                     stats.spread([p["pid1"] for p in chain.plugs(name, again)])]
                )  # fmt: skip
    steps, programs, modules = [], [], []
    for name in names:
        times = [one for one in map(loader_times, chain.plugs(name)) if one]
        if times:

            def mid(value, times=times):
                return f"{statistics.median(value(one) for one in times):.0f}"

            steps.append(
                [name, stats.spread([p["added"] for p in chain.plugs(name)]), mid(lambda t: t["fork"]),
                 mid(lambda t: t["exec"] - t["fork"]), mid(lambda t: t["first"] - t["exec"]),
                 mid(lambda t: t["last"] - t["first"]), mid(lambda t: t["sum"]), mid(lambda t: t["calls"]),
                 mid(lambda t: t["exit"] - t["last"]), mid(lambda t: t["active"] - t["exit"])]
            )  # fmt: skip
        each = [counts(plug) for plug in chain.plugs(name)]
        files = collections.Counter(e["file"].rsplit("/", 1)[-1] for e in chain.plugs(name)[0]["execs"])
        listing = ", ".join(f"{count} x {file}" if count > 1 else file for file, count in sorted(files.items()))
        programs.append(
            [name, *(f"{statistics.median(e[key] for e in each):g}" for key in ("execs", "processes", "workers", "threads")),
             listing]
        )  # fmt: skip
        loads = collections.defaultdict(list)
        for plug in chain.plugs(name):
            for call in plug["loads"]:
                if call["module"] and call["status"] == 0:
                    loads[call["module"]].append((call["start"], call["end"]))
        order = sorted(loads, key=lambda module: statistics.median(start for start, _ in loads[module]))
        cells = [
            f"{module} {statistics.median(s for s, _ in loads[module]):.0f}+"
            f"{statistics.median(e - s for s, e in loads[module]):.0f}"
            for module in order
        ]
        modules.append(f"- **{name}**: {', '.join(cells)}")
    return "\n".join(
        [
            "## Hot-plug",
            "",
            f"First device after a boot that has been idle for 3 s, ib_core loaded; ms from just before `rdma link add`,",
            f"median (min-max) of {len(chain.plugs(names[0]))} boots. *again*: a later device in the same boot, the first",
            "one unplugged and all its modules removed (and rdma-core's loaders stopped by hand, without which they",
            "do not load again).",
            "",
            report.table(["", "rdma-hw.target", "of rdma-core", "rdma_cm can be opened", "of rdma-core",
                          "uverbs0 can be opened", "target after uverbs0", "rdma_cm after uverbs0",
                          "CPU of PID 1 in the first 4 s"], rows),
            "",
            "Until uverbs0 is there the kernel's modprobe loads the driver and the checksums the driver asks for. That part is in all",
            "figures; the columns *after uverbs0* leave it out. rdma-core begins only then; ours works beside it, on the other",
            "CPU, so that uverbs0 comes later and all that follows earlier; rdma_cm even before the device (negative).",
            "",
            "Where the time goes (first device, medians): the link command returns; PID 1 forks for the loader of rdma.conf;",
            "from there to its exec (PID 1's preparations: namespaces, mounts, filters); from exec to the first module; first",
            "to last module, with the sum of the loads in it; from the last module to the exit (ours: waiting for nodes and for",
            "PID 1 to know the devices); from the exit to the target.",
            "",
            report.table(["", "link add returns", "loader forked", "to exec", "to first module", "loading",
                          "sum of loads", "modules", "after", "to target"], steps),
            "",
            "Programs and processes that one hot-plug starts, kernel threads not counted:",
            "",
            report.table(["", "execs", "processes", "workers of udevd", "threads", "which (first boot)"], programs),
            "",
            "Both start rdma-ndd, and rdma-core also rdma_rename; in the row *without-ndd* its two are masked.",
            "",
            "Modules, start+duration in ms:",
            "",
            *modules,
        ]
    )  # fmt: skip


def early_tables(chain):
    """Boots with a device before sysinit.target."""
    rows = []
    for name, boots in list(chain.early.items()):
        if not boots:
            continue
        kept = chain.deferred(name)

        def since(unit, key="active", boots=boots):
            """ms after the unit that made the device began."""
            return [
                b["units"][unit][key] - b["units"]["rxe-early.service"]["began"]
                for b in boots
                if key in b["units"].get(unit, {})
            ]

        cm = [b["nodes"]["rdma_cm"] - b["units"]["rxe-early.service"]["began"] for b in boots if b["nodes"]["rdma_cm"]]
        rows.append(
            [name, f"{sum(kept)} of {len(kept)}", stats.spread(since("rxe-early.service")), stats.spread(cm),
             stats.spread(since("rdma-load-modules@rdma.service")), stats.spread(since("sysinit.target")),
             stats.spread(since("rdma-hw.target")), stats.spread([b["boot"]["userspace"] for b in boots])]
        )  # fmt: skip
    return "\n".join(
        [
            "## A device before sysinit.target",
            "",
            "A unit ordered before sysinit.target (and after nothing but udevd) creates the device; nothing waits for udev",
            "to settle. *Kept*: every loader that ran ended before sysinit.target was reached, and the modules of rdma.conf",
            "were loaded. ms from the start of that unit, median (min-max).",
            "",
            report.table(["", "kept", "device unit done", "rdma_cm exists", "loader of rdma.conf done", "sysinit.target",
                          "rdma-hw.target", "user space of the boot"], rows),
        ]
    )  # fmt: skip


def plain_tables(chain):
    """Boots without RDMA."""
    rows = []
    base = chain.userspace("base")
    for name in ("base", "rdma-boot", "rdma-core"):
        boots = [b["boot"] for b in chain.plain.get(name, [])]
        if boots:
            user = [b["userspace"] for b in boots]
            rows.append(
                [name, len(boots), stats.spread(user),
                 f"{stats.median(user) - stats.median(base):+.0f}" if base else "-",
                 stats.spread([b["pid1"] for b in boots]), stats.spread([b["unitsload"] for b in boots]),
                 stats.spread([len(b["execs"]) for b in boots]), stats.spread([b["kernel"] for b in boots])]
            )  # fmt: skip
    extra = {name: chain.extra_execs(name) for name in ("rdma-boot", "rdma-core") if base and name in chain.plain}
    lines = [f"- {name}: {', '.join(found) if found else 'none'}" for name, found in extra.items()]
    return "\n".join(
        [
            "## A boot without RDMA",
            "",
            "User space of the boot as systemd-analyze gives it, the processor time of PID 1 and the time in which it loads all",
            "units; ms, median (min-max). The time of the kernel before is a yard-stick: it differs only by what else",
            "the host did.",
            "",
            report.table(["", "boots", "user space", "to base", "CPU of PID 1", "units loaded in", "execs", "kernel"], rows),
            "",
            "Programs started in every such boot and in no boot of the base image:",
            "",
            *lines,
        ]
    )  # fmt: skip


def implausible(figures):
    """What a smoke run must have produced."""
    wanted = ("hotplug_vs_rdma_core", "cm_ready_vs_rdma_core", "execs_hotplug", "execs_hotplug_rdma_core",
              "sysinit_boots")  # fmt: skip
    problems = [f"{key} is missing" for key in wanted if not figures.get(key)]
    problems += [f"{key} is {value}" for key, value in figures.items() if "_vs_" in key and not 0.005 < (value or 1) < 20]
    if figures.get("sysinit_deferred", 0) != figures.get("sysinit_boots"):
        problems.append(f"sysinit.target was deferred in {figures.get('sysinit_deferred')} of {figures.get('sysinit_boots')} boots")
    return problems


def schedule(options):
    """The boots in the order in which they are made: (kind, variant name), variants taking turns."""
    if options.smoke:
        return [("plain", "rdma-boot"), ("plain", "rdma-core"), ("early", "rdma-boot")]
    boots = options.runs or BOOTS
    chosen = options.only.split(",") if options.only else list(VARIANTS)
    plan = []
    for number in range(max(boots, 0)):
        # Another first one each time, so that none is always the one after a pause.
        turn = number % len(chosen)
        plan += [("plain", name) for name in chosen[turn:] + chosen[:turn]]
    if options.only:
        return plan
    for number in range(SYSINIT_BOOTS if options.runs is None else max(2, options.runs)):
        plan.append(("early", "rdma-boot"))
        if number < boots:
            plan.append(("early", "rdma-core"))
    return plan


def measure(options):
    """Boots all guests of the schedule."""
    chain = Chain()
    kernel = ""
    plugs = 1 if options.smoke else PLUGS
    with Guests("chain", options) as guests:
        for kind, name in schedule(options):
            variant = {**VARIANTS, **EXPERIMENTS}[name]
            if kind == "plain":
                arguments = {"mode": "hotplug", "runs": 0 if name == "base" else plugs}
                variant = Variant(variant.image, f"{variant.cmdline} {BOOT_TRACE}", variant.files)
                chain.plain[name].append(guests.boot(name, variant, arguments, BOOT_SECONDS))
                kernel = chain.plain[name][-1]["kernel"]
                if not all(complete(plug) for plug in chain.plain[name][-1].get("plugs", [])):
                    raise HarnessError(f"{name}: a device was plugged in, but its modules were not loaded; see {guests.out}")
            else:
                variant = Variant(variant.image, f"{variant.cmdline} {EARLY}", variant.files)
                chain.early[name].append(guests.boot(f"{name}-early", variant, {"mode": "early"}, BOOT_SECONDS))
    figures = chain.figures()
    parts = [report.goals(figures, GOALS), hotplug_tables(chain)]
    if chain.early:
        parts.append(early_tables(chain))
    parts.append(plain_tables(chain))
    parts.append(
        "\n".join(
            [
                "## What bounds it",
                "",
                "- Before the device: the kernel's own modprobe for the driver (*link add returns*). rdma-core begins after it. Ours",
                "  begins when ib_uverbs is live: udev's worker loads the connection manager, PID 1 starts the loader; the two",
                "  CPUs are then shared with the kernel's modprobe, which is why the device itself comes a little later.",
                "- PID 1's fork and the preparations of the unit (*to exec*): its sandbox (sandbox.md).",
                "- Start-up of the loader (*to first module*): dynamic linking, module index, modprobe.d.",
                "- The loads: bounded by the longest chain, sunrpc and rpcrdma, which alone is 60 % of what is to be loaded, and by",
                "  two CPUs that are busy. Most of a load is the signature check, the patching of code, and the init function",
                "  (see loader.md).",
                "- The end (*after*): rdma-hw.target says that udev and systemd know the devices, not only that modules are loaded.",
            ]
        )
    )
    machine = [
        f"Guest: kernel {kernel}, systemd of {options.image}, 2 CPUs emulated by software (QEMU TCG), 2 GB, modules not "
        "compressed. Ratios compare well, absolute times are several times those of hardware.",
        "Variants take turns, boot by boot, with the same kernel and the same base image. ftrace records programs, "
        "processes and module loads in all of them alike.",
    ]
    raw = {"plain": chain.plain, "early": chain.early}
    return figures, "From an RDMA device to rdma-hw.target", "\n\n".join(parts), machine, raw
