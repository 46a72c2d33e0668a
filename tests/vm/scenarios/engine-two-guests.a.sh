#!/bin/bash
# Two engines in two guests, over soft-RoCE and soft-iWARP: every kind of message with all bytes compared, a link and a
# device that go during a transfer and come back; and nothing is left of it all in either kernel.
# also: debian12 debian13
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
    wait_for 20 engine_nothing_left
    link_del "${type}0"
done
