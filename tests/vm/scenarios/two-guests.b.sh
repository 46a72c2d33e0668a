#!/bin/bash
# The client's side; headers are in two-guests.a.sh.
. /vmtest/lib/assert.sh

peer_up
for type in rxe siw; do
    rdma link add "${type}0" type "$type" netdev "$PEER_NIC"
    modprobe rdma_ucm
    wait_for 10 test -e /dev/infiniband/rdma_cm
    assert_eq "$(barrier "$type-server-is-up" "from b")" "from a"
    # rping was seen to hang about once in a hundred runs, after the connection was up.
    timeout 20 rping -c -a "$PEER_OTHER" -C 5 -v || timeout 20 rping -c -a "$PEER_OTHER" -C 5 -v
    mark "data passed over ${type}0"
    barrier "$type-client-is-done" >/dev/null
    link_del "${type}0"
done
