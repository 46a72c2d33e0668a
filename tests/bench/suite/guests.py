# SPDX-License-Identifier: BSD-2-Clause
"""Boots benchmark guests with the harness of tests/vm: same images, same machines, same way to get results out."""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile
import types
from importlib.machinery import SourceFileLoader

VM = pathlib.Path(__file__).resolve().parent.parent.parent / "vm"
sys.path.insert(0, str(VM))

from harness import images, machine, scenario  # noqa: E402
from harness.common import OUT, REPO, HarnessError, machine_slots, main_guard, say  # noqa: E402

GUEST = REPO / "tests" / "bench" / "guest"
# The nice value of the whole session while it measures.
PREFERENCE = "-15"
# Tracing of program starts from the first moment on, on the clock that systemd uses.
BOOT_TRACE = "trace_clock=mono trace_buf_size=8M trace_event=sched:sched_process_exec,task:task_newtask"


def _runner():
    """tests/vm/run as a module (it has no suffix, so the import statement does not find it)."""
    loader = SourceFileLoader("vm_run", str(VM / "run"))
    spec = importlib.util.spec_from_loader("vm_run", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


RUNNER = _runner()


@dataclasses.dataclass
class Guest(scenario.Scenario):
    """One boot that measures: a scenario whose script is guest/bench.sh, with early files of its own."""

    early: pathlib.Path = GUEST / "no-early-files"

    @property
    def early_files(self):
        return self.early


@dataclasses.dataclass(frozen=True)
class Variant:
    """What is installed in a guest, and what is changed in it: kernel arguments, and files (path to text) that are
    there before PID 1 starts. Text None makes a link to /dev/null, which masks a unit or a rules file. `tree` is a
    directory with more such files, `packages` what of the pool is installed beforehand."""

    image: str
    cmdline: str = ""
    files: tuple = ()
    tree: pathlib.Path | None = None
    packages: tuple = ()


@contextlib.contextmanager
def preferred():
    """Puts this session (as Linux groups processes for scheduling) before all others while something is measured; a
    guest with two CPUs of which only one runs at a time waits for itself. Without the right to do it, nothing changes.
    """
    group = pathlib.Path("/proc/self/autogroup")
    try:
        before = group.read_text(encoding="ascii").split()[-1]
        group.write_text(PREFERENCE, encoding="ascii")
    except (OSError, IndexError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            group.write_text(before, encoding="ascii")


class Guests:
    """Boots guests one after the other; use it in a `with` block.

    It measures (no smoke run): its guests are preferred; without --shared no other guest of the harness runs on this
    machine while one of ours does.
    """

    def __init__(self, bench, options):
        self.bench = bench
        self.release = options.image
        self.prefer = not options.smoke
        self.exclusive = not (options.shared or options.smoke)
        self.images = {}
        self.given_debs = options.debs
        self.out = OUT / f"bench-{bench}"
        self.count = 0

    def __enter__(self):
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.scratch = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp", prefix="vmbench-"))
        self.held = contextlib.ExitStack()
        return self

    def __exit__(self, *_):
        self.held.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def tree_with(self, program):
        """A directory for Variant.tree, with a program of this machine in /usr/local/bin."""
        tree = pathlib.Path(self.scratch) / "files"
        (tree / "usr/local/bin").mkdir(parents=True)
        shutil.copy2(program, tree / "usr/local/bin")
        return tree

    def image(self, variant):
        """The image of a Variant, built when it is not cached, and kept while we run."""
        key = (variant.image, variant.packages)
        if key not in self.images:
            debs = RUNNER.debs_of(self.release, self.given_debs) if variant.image == "rdma-boot" else None
            image = images.image(self.release, variant.image, variant.packages, debs)
            self.held.enter_context(images.in_use(image.root.parent))
            self.held.enter_context(images.in_use(image.pool.parent))
            self.images[key] = image
        return self.images[key]

    def early_files(self, variant):
        """The directory with a variant's files."""
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        if variant.tree:
            shutil.copytree(variant.tree, directory, symlinks=True, dirs_exist_ok=True)
        for path, text in variant.files:
            target = directory / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                target.symlink_to("/dev/null")
            else:
                target.write_text(text, encoding="utf-8")
        return directory

    def boot(self, name, variant, arguments, timeout, pool=False):
        """Boots a Variant; arguments (key to value) reach the guest's half as VMTEST_KEY; pool: with the
        disk of Debian's packages. Returns its result.json."""
        image = self.image(variant)
        self.count += 1
        words = {"bench": self.bench, **arguments}
        guest = Guest(
            f"bench-{self.bench}-{name}",
            {"": GUEST / "bench.sh"},
            [self.release],
            variant=variant.image,
            timeout=timeout,
            cmdline=" ".join([variant.cmdline, *(f"vmtest.{key}={value}" for key, value in words.items())]),
            payload=("tests/bench/guest/*.py",),
            pool=pool,
            early=self.early_files(variant),
        )
        # What run_guest() reads of the options of tests/vm/run.
        options = types.SimpleNamespace(
            image=self.release, kvm=machine.kvm_works(image), boot_limit=machine.BOOT_LIMIT
        )
        out = self.out / f"{self.count:03}-{name}"
        with machine_slots((os.cpu_count() or 1) if self.exclusive else 1):
            say(f"boot {self.count}: {name}")
            with preferred() if self.prefer else contextlib.nullcontext():
                status = RUNNER.run_guest(guest, "", image, options, out, self.scratch, None)
        result = out / "out" / "result.json"
        if status != 0 or not result.exists():
            raise HarnessError(f"the guest ended with status {status}, see {out}")
        return json.loads(result.read_text(encoding="utf-8"))
