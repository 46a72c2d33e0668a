#!/bin/bash
# A module that hangs in its init function during the boot is reported by name, the rest is loaded, the loader ends at its
# deadline, and sysinit.target goes on. Later runs wait for the module no longer than their own deadline.
# images: debian12
# also: debian13
# timeout: 150
# cmdline: systemd.wants=rxe-early.service rdma_boot.deadline=8
. /vmtest/lib/assert.sh

L=/usr/lib/rdma-boot/rdma-load-modules
unit=rdma-load-modules@rdma.service

result() { journalctl -b --no-pager -o cat --output-fields=RESULT -n 1 "KMOD=$1" RDMA_LIST=rdma; }

boot_finished
mark "the boot is over"
assert_active sysinit.target rdma-hw.target
assert_failed "$unit"
assert_eq "$(systemctl show -P Result "$unit")" exit-code "the loader ended by itself"
took=$(($(unit_time "$unit" InactiveEnterTimestamp) - $(unit_time "$unit" InactiveExitTimestamp)))
assert test "$took" -ge 7000000
assert test "$took" -le 20000000
assert_eq "$(result rdmaboot_test_hang)" timed-out
assert_eq "$(result rdmaboot_test_c)" loaded
assert_eq "$(result rpcrdma)" loaded
assert test -c /dev/infiniband/rdma_cm
assert_match "$(journal RDMA_LIST=rdma)" '1 timed-out \(rdmaboot_test_hang\)'
# The abandoned worker tells ps what it hangs in.
assert_match "$(cat /proc/[0-9]*/comm)" 'load rdmaboot_t'

mark "another run, while it still hangs"
if "$L" --jobs=1 --deadline=3 --module rdmaboot_test_hang --module rdmaboot_test_plain 2>/tmp/err; then
    fail "a module that hangs is no success"
fi
assert_match "$(cat /tmp/err)" 'rdmaboot_test_hang: timed-out'
assert loaded rdmaboot_test_plain

mark "it is released while a run waits for it"
(sleep 1 && echo 1 >/sys/module/rdmaboot_test_hang/parameters/release) &
"$L" --deadline=20 --module rdmaboot_test_hang
assert loaded rdmaboot_test_hang

mark "an init function that says EEXIST is a failure, not another loader's module"
echo "options rdmaboot_test_fail error=17" >/etc/modprobe.d/exists.conf
if "$L" --deadline=20 --module rdmaboot_test_fail 2>/tmp/err; then
    fail "a module that fails is no success"
fi
assert_match "$(cat /tmp/err)" 'rdmaboot_test_fail: failed'
