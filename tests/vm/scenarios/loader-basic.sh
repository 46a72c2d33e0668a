#!/bin/bash
# A list is loaded: each module once, with its dependencies, told in the journal by fields; the nodes it promises are
# there when the loader ends; a second run finds everything live; two loaders at once do not get in each other's way.
# images: debian13
# also: debian12
# timeout: 150
. /vmtest/lib/assert.sh

L=/usr/lib/rdma-boot/rdma-load-modules
TEST="rdmaboot_test_slow rdmaboot_test_c rdmaboot_test_b rdmaboot_test_a rdmaboot_test_plain"

# field NAME MODULE: the field of the module's last entry.
field() { journalctl -b --no-pager -o cat --output-fields="$1" -n 1 "KMOD=$2" "${@:3}"; }

boot_finished
mark "a list of our own, as a unit"
systemctl start rdma-load-modules@basic.service
assert_eq "$(systemctl show -P Result rdma-load-modules@basic.service)" success
for module in $TEST; do
    assert loaded "$module"
    assert_eq "$(field RESULT "$module")" loaded "RESULT of $module"
    assert_match "$(field USEC "$module")" '^[1-9][0-9]+$' "USEC of $module"
    assert_eq "$(field RDMA_LIST "$module")" basic
    assert_eq "$(journalctl -b --no-pager -o cat "KMOD=$module" RESULT=loaded | wc -l)" 1 "entries of $module"
done
# The slow module waits 300 ms in its init function; that is its time.
assert test "$(field USEC rdmaboot_test_slow)" -ge 300000
assert_match "$(journal RDMA_LIST=basic)" 'basic: [0-9]+ loaded.* in [0-9.]+ ms; slowest rdmaboot_test_[a-z]+ [0-9.]+ ms'
# An option from modprobe.d reached its module.
assert_eq "$(cat /sys/module/rdmaboot_test_slow/parameters/delay_ms)" 300
# Measured times are kept for the next run, where there is a place for them.
assert grep -q '^rdmaboot_test_slow [0-9]' /var/lib/rdma-boot/module-times

mark "once more: everything is live"
assert "$L" basic
assert_match "$("$L" --dry-run basic)" '^# 0 modules to load'

mark "two loaders at once"
# shellcheck disable=SC2086 # a list of names
modprobe -r $TEST
"$L" basic 2>/tmp/one &
one=$!
"$L" basic 2>/tmp/two
wait "$one"
for module in $TEST; do
    assert loaded "$module"
    # From 6.5 on the kernel gives the second loader of a file the first one's success.
    assert_match "$(cat /tmp/one /tmp/two | grep -c "$module: loaded in")" '^[12]$' "loads of $module"
done
assert_no_match "$(cat /tmp/one /tmp/two)" 'failed|timed-out'

mark "verbs and CM can be used while storage modules are still being loaded"
# shellcheck disable=SC2086 # a list of names
modprobe -r $TEST
cat >/etc/modprobe.d/slow-storage.conf <<'EOF'
softdep ib_iser pre: rdmaboot_test_slow
options rdmaboot_test_slow delay_ms=8000
EOF
# udev is kept from its work, so that it is the loader who does all.
udevadm control --stop-exec-queue
rxe_add rxe0
wait_for 8 test -c /dev/infiniband/rdma_cm
python3 -c 'import os; [os.close(os.open(f"/dev/infiniband/{n}", os.O_RDWR)) for n in ("uverbs0", "rdma_cm")]'
assert_not loaded ib_iser
mark "the loader ends only when udev and systemd know the device"
wait_for 30 loaded ib_iser
wait_for 30 loaded rpcrdma
sleep 2
assert_eq "$(systemctl show -P ActiveState rdma-load-modules@rdma.service)" activating
assert_inactive rdma-hw.target
udevadm control --start-exec-queue
wait_active 30 rdma-hw.target
assert_before "$(systemd-escape -p --suffix=device "$(readlink -f /sys/class/infiniband/rxe0)")" rdma-load-modules@rdma.service

mark "nodes are there when the loader ends"
modprobe -r ib_umad
"$L" infiniband
assert test -c /dev/infiniband/umad0
