# SPDX-License-Identifier: BSD-2-Clause
"""Guest images, built once and cached by a hash of what goes into them.

rootfs   a directory: Debian's base system and kernel, made by mmdebstrap, plus a pool of .deb files
modules  a directory: siw and our test modules, built for the rootfs' kernel in a root of its own (kbuild)
image    root.img, vmlinux, initrd: a copy of the rootfs with the modules, extra packages and our own package
"""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import time

from .common import CACHE, HERE, HarnessError, digest, locked, output, run, say

IMAGE_DIR = HERE / "image"
MODULES_DIR = HERE / "modules"
# Raised when the way of building changes without any of the hashed files changing.
SCHEMA = "1"
# How many entries of one kind stay in the cache: the current one and those of other checkouts.
KEPT = {"rootfs": 2, "kbuild": 2, "modules": 3, "image": 6}


@dataclasses.dataclass(frozen=True)
class Release:
    """One Debian release that guests run."""

    name: str
    suite: str
    linux_source: str


RELEASES = {
    "debian12": Release("debian12", "bookworm", "linux-source-6.1"),
    "debian13": Release("debian13", "trixie", "linux-source-6.12"),
}


@dataclasses.dataclass(frozen=True)
class Image:
    """A bootable image in the cache."""

    root: pathlib.Path
    kernel: pathlib.Path
    initrd: pathlib.Path
    pool: pathlib.Path


def package_list(name, release):
    """Reads image/NAME.packages: the packages for this release."""
    packages = []
    for line in (IMAGE_DIR / f"{name}.packages").read_text().splitlines():
        line = line.split("#")[0].strip()
        if ":" in line:
            only, line = (word.strip() for word in line.split(":", 1))
            if only != release.name:
                continue
        if line:
            packages.append(line)
    return packages


def apt_lines(release):
    """Sources for the release from the mirrors that this machine itself uses (Debian's own host when it has none)."""
    main = security = None
    listing = ""
    with contextlib.suppress(HarnessError):
        listing = output(
            ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
        )
    for line in listing.splitlines():
        origin, label, uri = line.split("|")
        if origin == "Debian" and label == "Debian" and main is None:
            main = uri
        elif origin == "Debian" and label == "Debian-Security" and security is None:
            security = uri
    main = main or "http://deb.debian.org/debian"
    security = security or "http://deb.debian.org/debian-security"
    return [
        f"deb {main} {release.suite} main",
        f"deb {main} {release.suite}-updates main",
        f"deb {security} {release.suite}-security main",
    ]


def remove(path):
    """Deletes a directory tree, but never what is mounted in it: a killed build may have left mounts."""
    mounts = [line.split()[1] for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{path}/"):
            run(["umount", "-l", mount])
    shutil.rmtree(path, ignore_errors=True)


def prune(kind, prefix):
    """Removes the oldest entries of one kind that nobody uses."""
    entries = sorted(
        (p for p in CACHE.glob(f"{prefix}-*") if p.is_dir() and (p / ".complete").exists()),
        key=lambda p: (p / ".complete").stat().st_mtime,
        reverse=True,
    )
    for entry in entries[KEPT[kind] :]:
        with open(CACHE / "locks" / entry.name, "a", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            remove(entry)
    for log in CACHE.glob(f"{prefix}-*.log"):
        if not log.with_suffix("").exists() and not log.with_suffix(".tmp").exists():
            log.unlink(missing_ok=True)


def cached(kind, prefix, key, what, build):
    """The directory CACHE/prefix-key; when it is not there, build(directory, log) makes it, under a lock."""
    path = CACHE / f"{prefix}-{key}"
    with locked(CACHE / "locks" / f"{path.name}.build"):
        if not (path / ".complete").exists():
            started = time.monotonic()
            say(f"building {what} ...")
            work = CACHE / f"{path.name}.tmp"
            remove(work)
            remove(path)
            work.mkdir(parents=True)
            log = CACHE / f"{path.name}.log"
            log.unlink(missing_ok=True)
            try:
                build(work, log)
            except BaseException:
                remove(work)
                raise
            work.rename(path)
            say(f"built {what} in {time.monotonic() - started:.0f} s")
            (path / ".complete").touch()
            prune(kind, prefix)
        os.utime(path / ".complete")
    return path


@contextlib.contextmanager
def in_use(path):
    """Keeps prune() away from a cache entry."""
    with locked(CACHE / "locks" / path.name, exclusive=False):
        yield


def debootstrap(target, packages, release, log, *extra):
    """Makes a Debian root directory with the packages."""
    run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            "--include=" + ",".join(packages),
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            *extra,
            release.suite,
            target,
            *apt_lines(release),
        ],
        log,
    )


def rootfs(release):
    """The base system (directory `root`) and the package pool (directory `pool`, image `pool.img`)."""
    key = digest(
        SCHEMA,
        release,
        *package_list("rootfs", release),
        "|",
        *package_list("pool", release),
        IMAGE_DIR / "customize.sh",
        IMAGE_DIR / "initrd-overlay.sh",
    )

    def build(work, log):
        # The hook downloads while apt's lists are still there. Each package by itself: some exclude each other.
        pool = work / "pool"
        pool.mkdir()
        hook = (
            f'for package in {" ".join(package_list("pool", release))}; do '
            'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get -y --download-only --no-install-recommends '
            f'-o Dir::Cache::Archives={pool} install "$package" || exit 1; done'
        )
        conf = 'mkdir -p "$1/etc/initramfs-tools/conf.d" && echo MODULES=list >"$1/etc/initramfs-tools/conf.d/vmtest"'
        debootstrap(
            work / "root",
            package_list("rootfs", release),
            release,
            log,
            f"--setup-hook={conf}",
            f"--customize-hook={hook}",
            f'--customize-hook={IMAGE_DIR / "customize.sh"} "$1"',
        )
        shutil.rmtree(pool / "partial", ignore_errors=True)
        (pool / "lock").unlink(missing_ok=True)
        run(["sh", "-c", "dpkg-scanpackages -m . >Packages"], log, cwd=pool)
        run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", pool, work / "pool.img", "512M"], log)

    return cached("rootfs", f"rootfs-{release.name}", key, f"{release.name} base system", build)


def kernel_version(root):
    """The version of the kernel in a root directory."""
    names = [p.name for p in (root / "usr/lib/modules").iterdir()]
    if len(names) != 1:
        raise HarnessError(f"expected one kernel in {root}, found {names}")
    return names[0]


def kbuild(release, kernel):
    """A root with compiler, kernel headers and siw's source, to build modules for this kernel."""
    key = digest(SCHEMA, release, kernel, *package_list("kbuild", release))

    def build(work, log):
        root = work / "root"
        packages = package_list("kbuild", release) + [f"linux-headers-{kernel}"]
        debootstrap(root, packages, release, log)
        source = next(root.glob(f"usr/src/{release.linux_source}.tar.*"))
        (root / "build").mkdir()
        wanted = f"{release.linux_source}/drivers/infiniband/sw/siw"
        run(["tar", "-C", root / "build", "--strip-components=4", "-xf", source, wanted], log)
        source.unlink()

    return cached("kbuild", f"kbuild-{release.name}", key, f"{release.name} kernel build root", build)


def modules(release, base):
    """siw.ko and the test modules for the kernel of the rootfs `base`."""
    kernel = kernel_version(base / "root")
    key = digest(SCHEMA, release, kernel, MODULES_DIR)

    def build(work, log):
        entry = kbuild(release, kernel)
        with in_use(entry), locked(CACHE / "locks" / f"{entry.name}.make"):
            root = entry / "root"
            for name in ["siw"] + sorted(p.name for p in MODULES_DIR.iterdir() if p.is_dir()):
                inside = root / "build" / name
                if name != "siw":
                    shutil.rmtree(inside, ignore_errors=True)
                    shutil.copytree(MODULES_DIR / name, inside)
                tree = f"/lib/modules/{kernel}/build"
                run(
                    ["chroot", root, "make", "-C", tree, f"M=/build/{name}", "CONFIG_RDMA_SIW=m"]
                    + [f"-j{os.cpu_count()}", "modules"],
                    log,
                )
                for module in sorted(inside.glob("*.ko")):
                    run(["strip", "--strip-debug", "-o", work / module.name, module], log)

    return cached("modules", f"modules-{release.name}", key, f"{release.name} kernel modules", build)


def unpack_kernel(packed, unpacked):
    """Writes the ELF file that a bzImage carries (Linux' Documentation/arch/x86/boot.rst). QEMU starts it as it is, by its PVH
    entry; unpacking itself takes a kernel seconds of an emulated CPU, at each boot."""
    data = packed.read_bytes()
    setup_sectors = data[0x1F1] or 4
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    # The last four bytes are the length of what is packed.
    payload, size = data[start : start + length - 4], data[start + length - 4 : start + length]
    tool = {b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd"}.get(payload[:4])
    if tool is None:
        raise HarnessError(f"{packed} is packed in a way that is not known here, it begins with {payload[:4].hex()}")
    done = subprocess.run([tool, "-dc"], input=payload, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0 or struct.pack("<I", len(done.stdout)) != size or done.stdout[:4] != b"\x7fELF":
        raise HarnessError(f"{tool} made no kernel of {packed}")
    unpacked.write_bytes(done.stdout)


@contextlib.contextmanager
def mounted(root, *pairs):
    """Bind-mounts directories into a root, and proc; undone at the end of the block."""
    done = []
    try:
        for source, target in pairs:
            inside = root / target
            inside.mkdir(parents=True, exist_ok=True)
            if source == "proc":
                run(["mount", "-t", "proc", "proc", inside])
            else:
                run(["mount", "--bind", source, inside])
            done.append(inside)
        yield
    finally:
        for inside in reversed(done):
            run(["umount", "-l", inside])


def install(root, pool, packages, debs, log):
    """Installs packages from the pool and .deb files in a root directory, with nothing started."""
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    sources = root / "etc/apt/sources.list.d/pool.list"
    sources.write_text("deb [trusted=yes] file:/pool ./\n")
    local = root / "var/tmp/debs"
    local.mkdir()
    for deb in debs:
        shutil.copy(deb, local)
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    apt = ["chroot", root, "apt-get", "-y", "--no-install-recommends"]
    with mounted(root, (pool, "pool"), ("proc", "proc")):
        run(apt + ["update"], log, env=environment)
        if packages:
            run(apt + ["install", *packages], log, env=environment)
        if debs:
            names = [f"/var/tmp/debs/{deb.name}" for deb in debs]
            run(apt + ["--allow-downgrades", "install", *names], log, env=environment)
    shutil.rmtree(local)
    for path in (policy, sources):
        path.unlink()
    run(["find", root / "var/lib/apt/lists", root / "var/cache/apt", "-type", "f", "-delete"], log)


def installable(debs):
    """Of a directory of built packages, those that belong on a host: no debug symbols, no development files."""
    found = sorted(
        p for p in pathlib.Path(debs).glob("*.deb") if "-dbgsym_" not in p.name and "-dev_" not in p.name
    )
    if not found:
        raise HarnessError(f"no packages in {debs}: build them with tools/build-deb")
    return found


def image(release_name, variant="base", packages=(), debs=None):
    """The image of a release with the variant's packages; built when it is not in the cache.

    variant: base (Debian without any RDMA boot layer), rdma-core (Debian's), rdma-boot (the .debs in `debs`).
    """
    release = RELEASES[release_name]
    base = rootfs(release)
    built = modules(release, base)
    packages = sorted(set(packages) | ({"rdma-core"} if variant == "rdma-core" else set()))
    files = installable(debs) if variant == "rdma-boot" else []
    key = digest(SCHEMA, "vmlinux", base.name, built.name, *packages, "|", *files)

    def build(work, log):
        root = work / "root"
        with in_use(base):
            run(["cp", "-a", "--reflink=auto", base / "root", root], log)
            if packages or files:
                install(root, base / "pool", packages, files, log)
        kernel = kernel_version(root)
        updates = root / "usr/lib/modules" / kernel / "updates"
        updates.mkdir(parents=True)
        for module in built.glob("*.ko"):
            shutil.copy(module, updates)
        run(["depmod", "-b", root, kernel], log)
        # Newer than /usr: nothing has to be brought up to date during the boot (ldconfig, journal catalog, users).
        for stamp in ("etc/.updated", "var/.updated"):
            (root / stamp).touch()
            os.utime(root / stamp, (time.time() + 60, time.time() + 60))
        unpack_kernel(root / f"boot/vmlinuz-{kernel}", work / "vmlinux")
        shutil.copy(root / f"boot/initrd.img-{kernel}", work / "initrd")
        run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0"]
            + ["-d", root, work / "root.img", "3G"], log)
        shutil.rmtree(root)

    what = f"{release_name} image ({variant}{''.join(' +' + p for p in packages)})"
    entry = cached("image", f"image-{release_name}-{variant}", key, what, build)
    return Image(entry / "root.img", entry / "vmlinux", entry / "initrd", base / "pool.img")
