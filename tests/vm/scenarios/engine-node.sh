#!/bin/bash
# Engines in one guest, over soft-RoCE and soft-iWARP: every kind of message with all bytes compared, a peer that is
# killed and comes back, 64 peers at once, both sides connecting at once 200 times, random traffic without a leak, and
# a link that goes down and a device that goes during a transfer, and come back.
# also: debian12 debian13
# variant: base
# timeout: 1200
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

boot_finished
engine_prepare engine_node
a=10.9.0.1@o2ib b=10.9.0.9@o2ib

serve() { engine_serve 4M 4M "$a"; }
for type in rxe siw; do
    engine_device "$type"

    mark "all kinds of messages over $type"
    serve
    timeout 200 engine_node transfer "$b" "$a" 2M 1 3976 4K 64K 1M 2M
    mark "random traffic over $type"
    timeout 60 engine_node random "$b" "$a" 8 1 || fail "random traffic; the server: $(tail -n 20 /tmp/served)"
    wait_for 20 engine_no_connection
    mark "the peer is killed and comes back"
    engine_through engine_kill serve "$b" "$a"
    mark "the link goes down during a transfer and comes up again"
    down() { ip link set v0a down; }
    up() { ip link set v0a up; }
    engine_through down up "$b" "$a"
    mark "the device goes during a transfer and comes back"
    engine_through del add "$b" "$a"
    engine_stop

    mark "both connect at once"
    timeout 400 engine_node race "$a" "$b" 200
    wait_for 20 engine_nothing_left
    del
done

mark "64 peers"
rxe_add rxe0
peers=()
for number in {10..73}; do
    ip address add "10.9.0.$number/24" dev v0a
    peers+=("10.9.0.$number@o2ib")
done
engine_serve 64K 64K "${peers[@]}"
timeout 100 engine_node many "$b" 64K "${peers[@]}"
engine_stop
wait_for 20 engine_nothing_left
