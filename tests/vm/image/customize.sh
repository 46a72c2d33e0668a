#!/bin/sh
# Turns a fresh Debian root directory ($1) into the guests' base system: quick to boot, nothing on the consoles,
# no timers, and an initrd that holds just the virtio drivers and the overlay script.
set -eu
root=$1
here=$(dirname "$0")

echo vm >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 vm\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/fstab"
rm -f "$root/etc/resolv.conf" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
# The mirror is the build machine's affair; a guest has no network.
rm -f "$root/etc/apt/sources.list" "$root/etc/apt/sources.list.d/"*
# Not a first boot: that would apply presets to all units and rebuild caches.
printf '5f1d0a7c2b3e4d6f8091a2b3c4d5e6f7\n' >"$root/etc/machine-id"

# A volatile journal without limits: nothing is lost, nothing is flushed to the disk during the boot.
mkdir -p "$root/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nRuntimeMaxUse=256M\n' \
    >"$root/etc/systemd/journald.conf.d/vmtest.conf"

# Work that takes seconds under emulation and that no scenario looks at.
for unit in getty@tty1.service serial-getty@ttyS0.service systemd-logind.service systemd-timesyncd.service \
    systemd-journal-flush.service systemd-random-seed.service systemd-pcrphase.service \
    modprobe@drm.service modprobe@fuse.service modprobe@loop.service modprobe@dm_mod.service \
    modprobe@efi_pstore.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer dpkg-db-backup.timer systemd-tmpfiles-clean.timer \
    man-db.timer nftables.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/etc/initramfs-tools/scripts/init-bottom"
printf 'MODULES=list\nBUSYBOX=y\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/vmtest"
printf 'virtio_pci\nvirtio_blk\nvirtio_console\next4\n' >>"$root/etc/initramfs-tools/modules"
install -m 755 "$here/initrd-overlay.sh" "$root/etc/initramfs-tools/scripts/init-bottom/vmtest-overlay"
kernel=$(basename "$root"/boot/vmlinuz-* | sed 's/^vmlinuz-//')
# Without udev, whose start takes a sixth of a boot: the drivers are named and the kernel makes the nodes. An initrd that a
# guest makes for itself has it.
aside=$(mktemp -d)
for part in hooks scripts/init-top scripts/init-bottom; do
    mkdir -p "$aside/$part"
    mv "$root/usr/share/initramfs-tools/$part/udev" "$aside/$part/"
done
chroot "$root" update-initramfs -u -k "$kernel"
for part in hooks scripts/init-top scripts/init-bottom; do
    mv "$aside/$part/udev" "$root/usr/share/initramfs-tools/$part/"
done
rm -r "$aside"
