#!/bin/bash
# The kernel and the tools of the guest do what all other scenarios need: devices come and go, data passes.
# also: debian12 debian13
# variant: base
# timeout: 90
. /vmtest/lib/assert.sh

boot_finished
mark "boot finished"

for type in rxe siw; do
    link_add "${type}0" "$type" 0
    wait_device "${type}0" 5
    udevadm settle
    assert test -e /dev/infiniband/uverbs0
    assert_match "$(rdma link show)" "${type}0/1 state ACTIVE"
    assert_match "$(ibv_devices)" "${type}0"
    modprobe rdma_ucm
    wait_for 10 test -e /dev/infiniband/rdma_cm
    # rping was seen to hang about once in a hundred runs, after the connection was up.
    for attempt in 1 2 3; do
        rping -s -a 10.9.0.1 -C 5 &
        server=$!
        sleep 0.5
        timeout 15 rping -c -a 10.9.0.1 -C 5 -v && break
        kill "$server" 2>/dev/null || true
        [[ $attempt != 3 ]] || fail "rping over $type does not work"
    done
    wait "$server" || true
    mark "data passed over ${type}0"
    link_del "${type}0"
    wait_no_device "${type}0" 5
done
