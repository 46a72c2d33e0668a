#!/bin/bash
# The side that transfers; headers are in engine-two-guests.a.sh.
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

peer_up
engine_prepare engine_node
own="$PEER_OWN@o2ib" other="$PEER_OTHER@o2ib"
for type in rxe siw; do
    add() { rdma link add "${type}0" type "$type" netdev "$PEER_NIC"; }
    del() { link_del "${type}0"; }
    add
    wait_device "${type}0"
    barrier "$type-serves" >/dev/null
    mark "all kinds of messages over $type"
    timeout 100 engine_node transfer "$own" "$other" 1M 1 3976 4K 64K 1M
    down() { ip link set "$PEER_NIC" down; }
    up() { ip link set "$PEER_NIC" up; }
    # More than once: a card that is down keeps what it has not sent, sometimes.
    for round in 1 2 3; do
        mark "the link goes during a transfer and comes back ($round)"
        engine_through down up "$own" "$other"
    done
    mark "the device goes during a transfer and comes back"
    engine_through del add "$own" "$other"
    wait_for 20 engine_nothing_left
    barrier "$type-done" >/dev/null
    del
done
