#!/bin/bash
# The engine's seam on a real kernel, over soft-RoCE and soft-iWARP: connecting, refusing, messages, writes, keys that
# are dead when they should be, disconnects, and a device that goes during a write and comes back.
# images: debian12
# also: debian13
# variant: base
# timeout: 240
# payload: build/*/tests/vm/fabric_check
. /vmtest/lib/assert.sh

boot_finished
install -m 755 /vmtest/payload/fabric_check /usr/local/bin/
needs=$(ldd /usr/local/bin/fabric_check 2>&1)
[[ $needs != *"not found"* ]] || skip "built on a newer release than this guest: $needs"
# In this order, as on a real boot: who came last hears of a removal first. With rdma_cm before ib_uverbs the removal
# waits for the program, which is told nothing.
modprobe ib_uverbs
modprobe rdma_ucm
wait_for 10 test -e /dev/infiniband/rdma_cm

for type in rxe siw; do
    link_add "${type}0" "$type"
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"
    mark "claims over $type"
    timeout 60 fabric_check 10.9.0.1 10.9.0.9
    mark "removal of $type"
    timeout 60 fabric_check 10.9.0.1 10.9.0.9 removal >"/tmp/$type" &
    removal=$!
    wait_for 20 grep -q writing "/tmp/$type"
    link_del "${type}0"
    wait_for 20 grep -q gone "/tmp/$type"
    link_add "${type}0" "$type"
    wait "$removal" || fail "$(cat "/tmp/$type")"
    cat "/tmp/$type"
    assert_eq "$(rdma resource show qp link "${type}0" 2>/dev/null | grep -c fabric_check)" 0 "queue pairs left"
    link_del "${type}0"
done
