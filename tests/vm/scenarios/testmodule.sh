#!/bin/bash
# The harness's own kernel modules do what the loader's scenarios rely on.
# also: debian12
# variant: base
# timeout: 120
. /vmtest/lib/assert.sh

mark "slow"
start=$(now_ms)
modprobe rdmaboot_test_slow delay_ms=1500
assert test $(($(now_ms) - start)) -ge 1400
assert loaded rdmaboot_test_slow

mark "fail"
assert_match "$(modprobe rdmaboot_test_fail 2>&1 || true)" "Invalid argument"
assert_match "$(modprobe rdmaboot_test_fail error=12 2>&1 || true)" "Cannot allocate memory"
assert_not loaded rdmaboot_test_fail

mark "hang, released by parameter"
modprobe rdmaboot_test_hang &
wait_for 5 test -e /sys/module/rdmaboot_test_hang/parameters/release
assert_eq "$(cat /sys/module/rdmaboot_test_hang/initstate)" coming
kill -KILL "$!"
sleep 0.5
assert_eq "$(cat /sys/module/rdmaboot_test_hang/initstate)" coming "a killed loader of an uninterruptible init"
echo 1 >/sys/module/rdmaboot_test_hang/parameters/release
wait_for 5 loaded rdmaboot_test_hang
modprobe -r rdmaboot_test_hang

mark "hang, killable"
modprobe rdmaboot_test_hang killable=1 &
wait_for 5 test -e /sys/module/rdmaboot_test_hang
kill -KILL "$!"
wait_for 5 test ! -e /sys/module/rdmaboot_test_hang

mark "hang, ended by its limit"
assert_match "$(modprobe rdmaboot_test_hang hang_limit_ms=1000 2>&1 || true)" "[Tt]imed out"

mark "late device node"
modprobe rdmaboot_test_node node_delay_ms=800
assert test ! -e /dev/rdmaboot_test
wait_for 5 test -c /dev/rdmaboot_test
modprobe -r rdmaboot_test_node
assert test ! -e /dev/rdmaboot_test

mark "chain"
modprobe rdmaboot_test_c
assert loaded rdmaboot_test_a
assert loaded rdmaboot_test_b
assert_not modprobe -r rdmaboot_test_a

mark "auxiliary function, its driver denied, then loaded"
mkdir -p /run/modprobe.d
echo "blacklist rdmaboot_test_auxdrv" >/run/modprobe.d/test.conf
# udevd reads modprobe.d when it starts, and not again on "udevadm control --reload".
systemctl restart systemd-udevd
modprobe rdmaboot_test_aux functions=rdma,eth
udevadm settle
assert test -e /sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0
assert test -e /sys/bus/auxiliary/devices/rdmaboot_test_aux.eth.1
assert test ! -e /sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0/driver
modprobe rdmaboot_test_auxdrv
assert test -e /sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0/driver
modprobe -r rdmaboot_test_auxdrv rdmaboot_test_aux

mark "auxiliary function, its driver loaded by udev"
rm /run/modprobe.d/test.conf
systemctl restart systemd-udevd
modprobe rdmaboot_test_aux
wait_for 10 test -e /sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0/driver
