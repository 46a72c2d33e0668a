# SPDX-License-Identifier: BSD-2-Clause
"""A scenario: a shell script and the "# key: value" lines in its first comment block."""

import dataclasses
import pathlib
import re

from .common import HERE, HarnessError
from .images import RELEASES

SCENARIOS = HERE / "scenarios"
KEYS = {
    "images", "also", "variant", "packages", "timeout", "cmdline", "boots", "shutdown", "pool", "debs", "payload", "memory",
    "cpus", "nic",
}


@dataclasses.dataclass
class Scenario:
    """What the headers say; scripts maps guest ("" for a single one, else "a" and "b") to its file."""

    name: str
    scripts: dict
    images: list
    also: list = dataclasses.field(default_factory=list)
    variant: str = "rdma-boot"
    packages: tuple = ()
    timeout: int = 120
    cmdline: str = ""
    boots: int = 1
    shutdown: str = "quick"
    pool: bool = False
    debs: bool = False
    payload: tuple = ()
    memory: int = 2048
    cpus: int = 2
    nic: bool = False

    @property
    def early_files(self):
        """The directory of files that are in the guest before its PID 1 starts (it need not exist)."""
        return next(iter(self.scripts.values())).parent / f"{self.name}.files"


def headers(text):
    """The known "# key: value" lines of the comment block a script begins with."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        match = re.fullmatch(r"#\s*([a-z]+):\s*(.*?)\s*", line)
        if match and match[1] in KEYS:
            found[match[1]] = match[2]
    return found


def flag(name, value):
    """yes or no."""
    if value not in ("yes", "no"):
        raise HarnessError(f"header {name}: yes or no, not '{value}'")
    return value == "yes"


def load(name):
    """Reads scenarios/NAME.sh, or NAME.a.sh and NAME.b.sh (headers then stand in NAME.a.sh).

    A name with a slash is a path, without ".sh", to a scenario that lives elsewhere.
    """
    folder = SCENARIOS
    if "/" in name:
        folder, name = pathlib.Path(name).resolve().parent, pathlib.Path(name).name
    single = folder / f"{name}.sh"
    if single.exists():
        scripts = {"": single}
    else:
        scripts = {guest: folder / f"{name}.{guest}.sh" for guest in "ab"}
        if not all(script.exists() for script in scripts.values()):
            raise HarnessError(f"no scenario {name}: known are {', '.join(names())}")
    found = headers(next(iter(scripts.values())).read_text())
    also = found.get("also", "").split()
    scenario = Scenario(name, scripts, found.get("images", "" if also else " ".join(RELEASES)).split(), also)
    unknown = set(scenario.images + also) - set(RELEASES)
    if unknown:
        raise HarnessError(f"{name}: unknown image {', '.join(unknown)}")
    if len(scripts) == 2:
        scenario.cpus, scenario.memory = 1, 1536
    for key in ("variant", "cmdline", "shutdown"):
        if key in found:
            setattr(scenario, key, found[key])
    if scenario.variant not in ("base", "rdma-core", "rdma-boot"):
        raise HarnessError(f"{name}: unknown variant {scenario.variant}")
    if scenario.shutdown not in ("quick", "clean"):
        raise HarnessError(f"{name}: unknown shutdown {scenario.shutdown}")
    for key in ("timeout", "boots", "memory", "cpus"):
        if key in found:
            setattr(scenario, key, int(found[key]))
    for key in ("packages", "payload"):
        if key in found:
            setattr(scenario, key, tuple(found[key].split()))
    for key in ("pool", "debs", "nic"):
        if key in found:
            setattr(scenario, key, flag(key, found[key]))
    return scenario


def names():
    """All scenarios there are."""
    found = {re.sub(r"(\.[ab])?\.sh$", "", path.name) for path in pathlib.Path(SCENARIOS).glob("*.sh")}
    return sorted(found)
