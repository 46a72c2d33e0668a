#!/bin/bash
# The whole story: a declared soft-RoCE link before sysinit.target, a second device after the boot, and both unplugged
# again.
# tools/demo runs it and tells it.
# images: debian12
# also: debian13
# variant: rdma-boot
# timeout: 120
# cmdline: systemd.wants=early-interface.service
. /vmtest/lib/assert.sh

# What udev was told about a device goes into the timeline as soon as udev has finished with it.
tell_protocol() {
    local properties
    wait_for 20 udevadm info -q property "/sys/class/infiniband/$1"
    udevadm settle -t 20
    properties=$(udevadm info -q property "/sys/class/infiniband/$1" | grep -E '^(ID_RDMA_|USEC_INITIALIZED=)' | tr '\n' ' ')
    printf '%s %s\n' "$1" "$properties" >>"$VMTEST_OUT/protocols"
    assert_match "$properties" "ID_RDMA_ROCE=1" "$1"
    assert_no_match "$properties" "ID_RDMA_INFINIBAND=1" "$1"
}

boot_finished
tell_protocol rxe0
wait_active 30 rdma-hw.target
wait_active 10 example-storage.service
assert test -c /dev/infiniband/rdma_cm
assert_before rdma-load-modules@rdma.service sysinit.target
assert_before rdma-hw.target example-storage.service

rxe_add rxe1 1
wait_device rxe1
tell_protocol rxe1
ibv_devices | grep -q rxe1
mark "rxe1 can be used"

link_del rxe1
udevadm settle
assert_active rdma-hw.target example-storage.service
mark "one device is left: everything goes on"
mark "rxe0 is unplugged: its declaration is removed"
rm /etc/rdma/links.d/10-rxe0.conf
wait_no_device rxe0
wait_inactive 20 example-storage.service
wait_inactive 20 rdma-hw.target
mark "no device is left"
