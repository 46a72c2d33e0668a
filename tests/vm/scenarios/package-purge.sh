#!/bin/bash
# The first installation serves a device that is there already; removing stops it; purging leaves no file, no link, no
# running unit, although modules were loaded and load times recorded in between.
# images: debian13
# also: debian12
# variant: base
# debs: yes
# timeout: 400
. /vmtest/lib/assert.sh

# All files, but for what dpkg, apt and the system keep about themselves.
files() {
    find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /vmtest \
        -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/tmp \
        -o -path /root -o -path /boot -o -path /var/lib/systemd -o -path /var/lib/initramfs-tools \) -prune -o -print | sort
}

boot_finished
echo "update_initramfs=no" >>/etc/initramfs-tools/update-initramfs.conf
rxe_add rxe0
udevadm settle
assert_not loaded rdma_ucm
files >/var/tmp/before

mark "installing"
dpkg -i /vmtest/debs/rdma-boot_*.deb
wait_active 90 rdma-hw.target
assert loaded rdma_ucm
assert_active rdma-hw.path rdma-load-modules@rdma.service
assert systemctl -q is-enabled rdma-hw.path rdma-coldplug.service rdma-wait-online.service
udevadm settle
assert_match "$(udevadm info -q property -p /sys/class/infiniband/rxe0)" "ID_RDMA_ROCE=1"
link_del rxe0
wait_inactive 60 rdma-hw.target
rxe_add rxe0
wait_active 90 rdma-hw.target

mark "removing"
dpkg --remove rdma-boot
assert_inactive rdma-hw.path rdma-hw.target
assert test -e /etc/rdma/modules/rdma.conf
mark "installing what was removed"
dpkg -i /vmtest/debs/rdma-boot_*.deb
wait_active 90 rdma-hw.target
mark "purging"
dpkg --purge rdma-boot
assert_inactive rdma-hw.path rdma-hw.target
files >/var/tmp/after
diff /var/tmp/before /var/tmp/after || fail "files were left or taken"
assert_eq "$(find /var/lib/systemd /run/rdma-boot /run/rdma /run/systemd/system -name '*rdma*' 2>/dev/null || true)" "" "left in state directories"
assert_eq "$(systemctl --failed --no-legend --plain | grep -i rdma || true)" "" "failed units"
assert_eq "$(dpkg --audit)" ""
