#!/bin/bash
# Two engines in two guests, over soft-RoCE and soft-iWARP: every kind of message with all bytes compared, and a link
# that goes during a transfer and comes back.
# images: debian12
# also: debian13
# variant: base
# timeout: 240
# payload: build/*/tests/vm/engine_node
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
    engine_node serve 1M 1M "$PEER_OWN@o2ib" >/tmp/served 2>&1 &
    server=$!
    wait_for 30 grep -q "serving on" /tmp/served
    barrier "$type-serves" >/dev/null
    barrier "$type-done" "" 200 >/dev/null
    kill "$server"
    wait "$server" || fail "$(cat /tmp/served)"
    cat /tmp/served
    link_del "${type}0"
done
