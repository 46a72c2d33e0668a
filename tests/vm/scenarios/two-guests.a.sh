#!/bin/bash
# Two guests joined by one link: rping from b to a over soft-RoCE, and over soft-iWARP.
# images: debian12
# variant: base
# timeout: 150
. /vmtest/lib/assert.sh

peer_up
for type in rxe siw; do
    rdma link add "${type}0" type "$type" netdev "$PEER_NIC"
    modprobe rdma_ucm
    wait_for 10 test -e /dev/infiniband/rdma_cm
    rping -s -a "$PEER_OWN" -P &
    server=$!
    assert_eq "$(barrier "$type-server-is-up" "from a")" "from b"
    barrier "$type-client-is-done" >/dev/null
    kill "$server"
    wait "$server" || true
    link_del "${type}0"
done
