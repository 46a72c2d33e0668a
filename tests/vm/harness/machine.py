# SPDX-License-Identifier: BSD-2-Clause
"""qemu: which accelerator works here, and one boot of one guest."""

import concurrent.futures
import dataclasses
import pathlib
import subprocess
import threading
import time

from .common import CACHE, locked, say, scratch_directory

# Exit status of qemu when the guest wrote 1 to the exit device: (1 << 1) | 1.
EXIT_DEVICE = 3
# Seconds that a boot up to multi-user.target may take (emulated, on a busy machine), and that saving may take.
BOOT_LIMIT = 300
SAVE_LIMIT = 60
KVM_PROBE_LIMIT = 15
# Emulated kernels were seen to hang before their first process, both CPUs busy (two, of many hundreds): seconds that one has
# to get there, which takes 3 to 10, and how often it is tried.
START_LIMIT = 120
STARTS = 3

# The machines that run now, for stop_all().
RUNNING = set()

KERNEL_ARGUMENTS = [
    "root=/dev/vda", "rootfstype=ext4", "rw", "console=ttyS0,115200", "quiet", "loglevel=4", "panic=-1",
    "mitigations=off", "tsc=reliable", "no_timer_check", "random.trust_cpu=on", "systemd.show_status=0",
    # Debian's, without bpf: systemd 257 would spend seconds of each boot on a program for RestrictFileSystems=.
    "lsm=landlock,lockdown,yama,integrity,apparmor",
    # One boot was seen to hang for ever in such a self-test, under emulation.
    "cryptomgr.notests=1",
]  # fmt: skip


@dataclasses.dataclass
class Boot:
    """One boot of one guest: what to start, and where its files go."""

    guest: str
    directory: pathlib.Path
    kernel: pathlib.Path
    initrd: pathlib.Path
    disk: pathlib.Path
    disk_format: str
    arguments: list
    memory: int
    cpus: int
    pool: pathlib.Path | None = None
    netdev: list = dataclasses.field(default_factory=list)
    overlay: bytes = b""
    says_hello: bool = False  # the first process writes something to the console


def kvm_works(image):
    """True when a Debian kernel really runs under KVM here; the answer is kept until the machine boots again.

    /dev/kvm alone says nothing: there are hosts on which firmware starts and a kernel hangs.
    """
    if not pathlib.Path("/dev/kvm").exists():
        return False
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = CACHE / f"kvm-{boot_id}"
    with locked(CACHE / "locks" / "kvm"):
        if not answer.exists():
            say(f"probing KVM (at most {KVM_PROBE_LIMIT} s) ...")
            for old in CACHE.glob("kvm-*"):
                old.unlink()
            command = [
                "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                "-accel", "kvm", "-cpu", "host", "-m", "512M", "-serial", "stdio",
                "-kernel", image.kernel, "-initrd", image.initrd,
                "-append", "console=ttyS0 panic=-1 rdinit=/bin/true",
            ]  # fmt: skip
            try:
                # Its first process ends at once, and the kernel panics: it got as far as running programs.
                shown = subprocess.run(
                    [str(word) for word in command],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    timeout=KVM_PROBE_LIMIT, check=False,
                ).stdout  # fmt: skip
            except (OSError, subprocess.TimeoutExpired):
                shown = b""
            answer.write_text("yes" if b"Attempted to kill init" in shown else "no")
            say(f"KVM: {'works' if answer.read_text() == 'yes' else 'does not work here, using emulation'}")
        return answer.read_text() == "yes"


def command_line(boot, kvm):
    """The qemu command of a boot."""
    accelerator = ["-accel", "kvm", "-cpu", "host"] if kvm else ["-accel", "tcg,thread=multi", "-cpu", "Nehalem"]
    disk = f"file={boot.disk},if=none,id=root,format={boot.disk_format},cache=unsafe"
    if boot.disk_format == "raw":
        disk += ",snapshot=on"
    command = [
        # However this process ends, its machine does not outlive it.
        "setpriv", "--pdeathsig", "KILL",
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-vga", "none",
        *accelerator, "-smp", boot.cpus, "-m", f"{boot.memory}M",
        "-kernel", boot.kernel, "-initrd", boot.directory / "initrd", "-append", " ".join(boot.arguments),
        "-drive", disk, "-device", "virtio-blk-pci,drive=root,serial=vmroot",
        "-drive", f"file={boot.directory / 'result.img'},if=none,id=result,format=raw,cache=unsafe",
        "-device", "virtio-blk-pci,drive=result,serial=vmresult",
        "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
        "-chardev", f"file,id=stream,path={boot.directory / 'stream'}",
        "-device", "virtserialport,chardev=stream,name=vmtest",
        "-serial", f"file:{boot.directory / 'console'}",
        "-device", "isa-debug-exit,iobase=0x501,iosize=2",
        *boot.netdev,
    ]  # fmt: skip
    if boot.pool is not None:
        command += ["-drive", f"file={boot.pool},if=none,id=pool,format=raw,readonly=on"]
        command += ["-device", "virtio-blk-pci,drive=pool,serial=vmpool"]
    return [str(word) for word in command]


def follow(path, prefix, ended):
    """Prints a growing file line by line until `ended` is set and nothing new comes."""
    at = 0
    rest = b""
    while True:
        last = ended.is_set()
        if path.exists():
            with open(path, "rb") as handle:
                handle.seek(at)
                data = handle.read()
            at += len(data)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text and not text.startswith("VMTEST-RC="):
                    say(f"{prefix}{text}")
        if last:
            return
        ended.wait(0.3)


def stop_all():
    """Ends all machines of this process; each run_boot() then returns."""
    for process in list(RUNNING):
        process.kill()


def side_by_side(calls, at_once=None):
    """The results of functions that run machines or make images, each in a thread, all or `at_once` of them at a time. When
    one raises, or this process is told to end, the machines of the others are stopped (they would wait for each other, for
    minutes), and what has not begun never does."""
    with concurrent.futures.ThreadPoolExecutor(at_once or len(calls)) as pool:
        jobs = [pool.submit(call) for call in calls]
        try:
            for job in concurrent.futures.as_completed(jobs):
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    return [job.result() for job in jobs]


def reached_first_process(boot, process):
    """Waits until the guest's first process has shown itself, or the machine has ended. False: neither within START_LIMIT."""
    console = boot.directory / "console"
    began = time.monotonic()
    while process.poll() is None and not (console.exists() and console.stat().st_size):
        if time.monotonic() - began > START_LIMIT:
            return False
        time.sleep(0.2)
    return True


def run_machine(boot, kvm, limit, scratch):
    """Starts qemu and waits for its end. Returns a reason for a bad end, an empty string, or None: the kernel hung before
    its first process."""
    with subprocess.Popen(
        command_line(boot, kvm),
        stdin=subprocess.DEVNULL,
        stdout=open(boot.directory / "qemu", "wb"),
        stderr=subprocess.STDOUT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR": str(scratch)},
    ) as process:
        RUNNING.add(process)
        try:
            if boot.says_hello and not reached_first_process(boot, process):
                return None
            status = process.wait(limit)
            return "" if status in (0, EXIT_DEVICE) else f"qemu ended with status {status}"
        except subprocess.TimeoutExpired:
            return f"the guest did not end within {limit} s"
        finally:
            RUNNING.discard(process)
            if process.poll() is None:
                process.kill()
                process.wait()


def run_boot(boot, kvm, limit):
    """Boots a guest and waits for its end. Returns a reason for a bad end, or an empty string."""
    boot.directory.mkdir(parents=True, exist_ok=True)
    with open(boot.directory / "result.img", "wb") as image:
        image.truncate(512 << 20)
    for written_by_guest in ("stream", "console"):
        (boot.directory / written_by_guest).unlink(missing_ok=True)
    data = boot.initrd.read_bytes()
    # A second archive may follow the first one at a multiple of four bytes.
    (boot.directory / "initrd").write_bytes(data + b"\0" * (-len(data) % 4) + boot.overlay)
    ended = threading.Event()
    prefix = f"{boot.guest}| " if boot.guest else "| "
    viewer = threading.Thread(target=follow, args=(boot.directory / "stream", prefix, ended))
    started = time.monotonic()
    viewer.start()
    reason = None
    try:
        with scratch_directory() as scratch:
            for _ in range(STARTS):
                reason = run_machine(boot, kvm, limit, scratch)
                if reason is not None:
                    break
                say(f"the emulated kernel hung before its first process ({START_LIMIT} s)")
    finally:
        ended.set()
        viewer.join()
    if reason is None:
        reason = f"the kernel did not reach its first process, {STARTS} times"
    (boot.directory / "initrd").unlink()
    if status_text := (boot.directory / "qemu").read_text(errors="replace").strip():
        reason = reason and f"{reason}: {status_text}"
    (boot.directory / "seconds").write_text(f"{time.monotonic() - started:.1f}\n")
    return reason


def emulator_failed(out):
    """Whether a guest died of the emulator: the kernel replaces instructions while another CPU runs, by way of a breakpoint,
    and QEMU's threads may run the breakpoint after the kernel has taken it away. No program can make the kernel do that."""
    return any("Oops: int3" in path.read_text(errors="replace") for path in out.rglob("console"))
