# SPDX-License-Identifier: BSD-2-Clause
"""Paths, locks, progress and child processes shared by the harness."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
REPO = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("RDMA_BOOT_CACHE", "/var/cache/rdma-boot"))
OUT = pathlib.Path(os.environ.get("RDMA_BOOT_OUT", REPO / "build" / "vm"))


class HarnessError(Exception):
    """Something outside the scenario went wrong: a tool is missing, a download failed, a guest did not start."""


def say(text):
    """Prints one line of progress at once."""
    print(text, flush=True)


def run(command, log=None, **options):
    """Runs a command; its output goes to the file `log` (or nowhere), and its end is shown when it fails."""
    with contextlib.ExitStack() as stack:
        if log is None:
            sink = stack.enter_context(open(os.devnull, "wb"))
        else:
            sink = stack.enter_context(open(log, "ab"))
            sink.write(f"+ {' '.join(map(str, command))}\n".encode())
            sink.flush()
        done = subprocess.run(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
            **options,
        )
    if done.returncode != 0:
        tail = ""
        if log is not None:
            tail = "\n" + "\n".join(pathlib.Path(log).read_text(errors="replace").splitlines()[-25:])
        raise HarnessError(f"{command[0]} failed with status {done.returncode}{tail}")


def output(command):
    """The standard output of a command as text; raises HarnessError when it fails."""
    try:
        return subprocess.run(
            [str(word) for word in command], check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise HarnessError(str(error)) from error


def digest(*parts):
    """A short name for content: strings, bytes, and files or directories by what is in them."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                total.update(f"{file.name}\0{file.stat().st_mode & 0o111}\0".encode())
                total.update(hashlib.sha256(file.read_bytes()).digest())
        else:
            total.update(part if isinstance(part, bytes) else str(part).encode())
        total.update(b"\0")
    return total.hexdigest()[:12]


@contextlib.contextmanager
def locked(path, exclusive=True):
    """Holds a lock file for the length of a `with` block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield handle


@contextlib.contextmanager
def machine_slots(wanted):
    """Holds `wanted` of the machine's VM slots (one a CPU). Whoever waits keeps the queue lock, so that the next
    one to come is also the next one to be served."""
    total = max(1, os.cpu_count() or 1)
    wanted = min(wanted, total)
    directory = CACHE / "slots"
    directory.mkdir(parents=True, exist_ok=True)
    held = []
    with contextlib.ExitStack() as stack:
        queue = stack.enter_context(open(directory / "queue", "a", encoding="ascii"))
        told = False
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for a VM slot (other guests run on this machine)")
            told = True
            fcntl.flock(queue, fcntl.LOCK_EX)
        free = [stack.enter_context(open(directory / f"slot{n}", "a", encoding="ascii")) for n in range(total)]
        while len(held) < wanted:
            for handle in list(free):
                if len(held) == wanted:
                    break
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                free.remove(handle)
                held.append(handle)
            if len(held) < wanted:
                if not told:
                    say("waiting for a VM slot (other guests run on this machine)")
                    told = True
                time.sleep(0.5)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


@contextlib.contextmanager
def scratch_directory(keep=False):
    """A directory for disks that are of no use afterwards. What a killed run left behind is removed first."""
    top = CACHE / "scratch"
    top.mkdir(parents=True, exist_ok=True)
    for old in top.iterdir():
        owner = old.name.split("-")[0]
        if owner.isdigit() and not pathlib.Path("/proc", owner).exists():
            shutil.rmtree(old, ignore_errors=True)
    path = pathlib.Path(tempfile.mkdtemp(dir=top, prefix=f"{os.getpid()}-"))
    try:
        yield path
    finally:
        if keep:
            say(f"disks kept in {path.rename(top / f'kept-{path.name}')}")
        else:
            shutil.rmtree(path, ignore_errors=True)


def main_guard(function):
    """Runs a command's main function and turns HarnessError, Ctrl-C and SIGTERM into an exit status."""

    def interrupt(*_):
        raise KeyboardInterrupt

    # SIGINT too: a shell starts its background jobs with that ignored.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    try:
        sys.exit(function(sys.argv[1:]))
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
