#!/bin/bash
# What takes long, by hand (tests/vm/run tests/vm/by-hand/engine-long): a transfer of 1 GiB, and ten minutes of random
# traffic over soft-RoCE and over soft-iWARP with resident memory that does not grow.
# images: debian12 debian13
# variant: base
# timeout: 2400
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh

boot_finished
ulimit -l unlimited
install -m 755 /vmtest/payload/engine_node /usr/local/bin/
modprobe ib_uverbs
modprobe rdma_ucm
wait_for 10 test -e /dev/infiniband/rdma_cm

left() { rdma resource show "$1" | grep -c engine_node || true; }
a=10.9.0.1@o2ib b=10.9.0.9@o2ib
for type in rxe siw; do
    link_add "${type}0" "$type"
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"
    engine_node serve 1G 64M "$a" >/tmp/served 2>&1 &
    server=$!
    wait_for 60 grep -q "serving on" /tmp/served
    mark "1 GiB over $type"
    timeout 400 engine_node transfer "$b" "$a" 64M 1G
    mark "ten minutes over $type"
    timeout 800 engine_node random "$b" "$a" 600 7
    kill "$server"
    wait "$server"
    cat /tmp/served
    for kind in qp cq mr cm_id pd; do assert_eq "$(left "$kind")" 0 "$kind left"; done
    link_del "${type}0"
done
