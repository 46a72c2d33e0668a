#!/bin/bash
# Engines in one guest, over soft-RoCE and soft-iWARP: every kind of message with all bytes compared, a peer that is
# killed and comes back, 64 peers at once, both sides connecting at once 200 times, random traffic without a leak, and
# a device that goes during a transfer and comes back.
# images: debian12
# also: debian13
# variant: base
# timeout: 300
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh

boot_finished
# siw counts what is registered against this limit, root's too; a service has 8 MiB.
ulimit -l unlimited
install -m 755 /vmtest/payload/engine_node /usr/local/bin/
needs=$(ldd /usr/local/bin/engine_node 2>&1)
[[ $needs != *"not found"* ]] || skip "built on a newer release than this guest: $needs"
# In this order: see engine-fabric.sh.
modprobe ib_uverbs
modprobe rdma_ucm
wait_for 10 test -e /dev/infiniband/rdma_cm

start_server() {
    engine_node serve "$@" >/tmp/served 2>&1 &
    server=$!
    wait_for 30 grep -q "serving on" /tmp/served
}
stop_server() {
    kill "$server"
    wait "$server" || fail "the server: $(cat /tmp/served)"
}
# Queue pairs, regions and ids of programs; the kernel's own (GSI) have no process.
left() { rdma resource show "$1" | grep -c engine_node || true; }
nothing_left() {
    local kind
    for kind in qp cq mr cm_id pd; do [[ $(left "$kind") == 0 ]] || return 1; done
}

a=10.9.0.1@o2ib b=10.9.0.9@o2ib
for type in rxe siw; do
    link_add "${type}0" "$type"
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"

    mark "all kinds of messages over $type"
    start_server 4M 4M "$a"
    timeout 100 engine_node transfer "$b" "$a" 2M 1 3976 4K 64K 1M 2M
    mark "random traffic over $type"
    timeout 60 engine_node random "$b" "$a" 8 1 || fail "random traffic; the server: $(tail -n 20 /tmp/served)"

    mark "the peer is killed and comes back"
    engine_node stream "$b" "$a" 256K >/tmp/stream 2>&1 &
    stream=$!
    wait_for 30 grep -q streaming /tmp/stream
    kill -9 "$server"
    wait "$server" || true
    wait_for 60 grep -q lost /tmp/stream
    start_server 4M 4M "$a"
    wait "$stream" || fail "$(cat /tmp/stream)"
    cat /tmp/stream

    mark "the device goes during a transfer and comes back"
    engine_node stream "$b" "$a" 256K >/tmp/stream 2>&1 &
    stream=$!
    wait_for 30 grep -q streaming /tmp/stream
    link_del "${type}0"
    wait_for 60 grep -q lost /tmp/stream
    link_add "${type}0" "$type"
    wait "$stream" || fail "$(cat /tmp/stream /tmp/served)"
    cat /tmp/stream
    stop_server

    mark "both connect at once"
    timeout 100 engine_node race "$a" "$b" 100
    wait_for 20 nothing_left
    link_del "${type}0"
done

mark "64 peers"
rxe_add rxe0
peers=()
for number in {10..73}; do
    ip address add "10.9.0.$number/24" dev v0a
    peers+=("10.9.0.$number@o2ib")
done
start_server 64K 64K "${peers[@]}"
timeout 100 engine_node many "$b" 64K "${peers[@]}"
stop_server
wait_for 20 nothing_left
