#!/bin/bash
# The side that transfers; headers are in engine-two-guests.a.sh.
. /vmtest/lib/assert.sh

peer_up
# siw counts what is registered against this limit, root's too; a service has 8 MiB.
ulimit -l unlimited
install -m 755 /vmtest/payload/engine_node /usr/local/bin/
modprobe ib_uverbs
modprobe rdma_ucm
wait_for 20 test -e /dev/infiniband/rdma_cm
for type in rxe siw; do
    rdma link add "${type}0" type "$type" netdev "$PEER_NIC"
    wait_device "${type}0"
    barrier "$type-serves" >/dev/null
    mark "all kinds of messages over $type"
    timeout 100 engine_node transfer "$PEER_OWN@o2ib" "$PEER_OTHER@o2ib" 1M 1 3976 4K 64K 1M
    mark "the link goes during a transfer and comes back"
    engine_node stream "$PEER_OWN@o2ib" "$PEER_OTHER@o2ib" 256K >/tmp/stream 2>&1 &
    stream=$!
    wait_for 60 grep -q streaming /tmp/stream
    ip link set "$PEER_NIC" down
    wait_for 60 grep -q lost /tmp/stream
    ip link set "$PEER_NIC" up
    wait "$stream" || fail "$(cat /tmp/stream)"
    cat /tmp/stream
    barrier "$type-done" >/dev/null
    link_del "${type}0"
done
