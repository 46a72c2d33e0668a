#!/bin/bash
# The sandboxes: every service of ours scores 2.5 or better with this systemd, is well-formed, and works in it (the other
# scenarios run in the same sandbox; here the loader and the wait are seen to do their work).
# images: debian12 debian13
# timeout: 90
. /vmtest/lib/assert.sh

boot_finished
for unit in rdma-load-modules@rdma.service rdma-coldplug.service; do
    assert systemd-analyze security --no-pager --threshold=25 "$unit"
    systemd-analyze security --no-pager "$unit" | tail -1
done
for unit in rdma-hw.target rdma-hw.path rdma-load-modules@rdma.service rdma-coldplug.service rdma.service; do
    assert_eq "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -v '^$' || true)" "" "systemd-analyze verify $unit"
done
rxe_add rxe0
wait_active 30 rdma-hw.target
assert_eq "$(systemctl show -P Result rdma-load-modules@rdma.service)" success
assert loaded rdma_ucm
# With a device there the wait has its condition, asks PID 1, and ends at once.
assert systemctl start rdma-coldplug.service
assert_eq "$(systemctl show -P Result rdma-coldplug.service)" success
