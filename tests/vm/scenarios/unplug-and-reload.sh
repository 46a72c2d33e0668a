#!/bin/bash
# Hot-plug starts the target and loads; a second device loads nothing again; the last unplug stops all; and a new device
# gets the modules again that an admin had removed in between.
# images: debian12
# also: debian13
# timeout: 150
. /vmtest/lib/assert.sh

# How often the loader of the list "rdma" was started in this boot.
loader_runs() { journalctl -b --no-pager -o cat -u rdma-load-modules@rdma.service | grep -c '^Starting '; }

boot_finished
assert_inactive rdma-hw.target
rxe_add rxe0 0
wait_active 30 rdma-hw.target
assert_active rdma-load-modules@rdma.service
assert test -c /dev/infiniband/rdma_cm
assert_eq "$(loader_runs)" 1 "runs of the loader"
# An empty list starts no process.
assert_eq "$(systemctl show -P ConditionResult rdma-load-modules@roce.service)" no
assert_eq "$(systemctl show -P ExecMainPID rdma-load-modules@roce.service)" 0

rxe_add rxe1 1
udevadm settle
assert_eq "$(loader_runs)" 1 "runs of the loader after a second device"
link_del rxe0
udevadm settle
assert_active rdma-hw.target rdma-load-modules@rdma.service

link_del rxe1
wait_inactive 10 rdma-hw.target
wait_inactive 10 rdma-load-modules@rdma.service
assert_eq "$(systemctl show -P SubState rdma-hw.path)" waiting
modprobe -r rdma_ucm
assert_not test -e /dev/infiniband/rdma_cm

rxe_add rxe2 2
wait_active 30 rdma-hw.target
assert test -c /dev/infiniband/rdma_cm
assert_eq "$(loader_runs)" 2 "runs of the loader"
link_del rxe2
wait_inactive 10 rdma-hw.target

# Away again at once, before anybody could look: nothing may fail.
rxe_add rxe3 2
link_del rxe3
sleep 3
udevadm settle
wait_inactive 40 rdma-hw.target
assert_eq "$(systemctl --failed --no-legend | grep -c rdma || true)" 0 "failed units"
