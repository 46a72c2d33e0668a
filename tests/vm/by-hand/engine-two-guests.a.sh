#!/bin/bash
# Two engines in two guests, over soft-RoCE and soft-iWARP: every kind of message with all bytes compared, and a link
# that goes during a transfer and comes back.
# images: debian12 debian13
# variant: base
# timeout: 300
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

peer_up
engine_prepare engine_node
for type in rxe siw; do
    rdma link add "${type}0" type "$type" netdev "$PEER_NIC"
    wait_device "${type}0"
    engine_serve 1M 1M "$PEER_OWN@o2ib"
    barrier "$type-serves" >/dev/null
    barrier "$type-done" "" 200 >/dev/null
    engine_stop
    link_del "${type}0"
done
