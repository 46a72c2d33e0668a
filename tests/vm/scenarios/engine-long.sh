#!/bin/bash
# What takes long, over soft-RoCE and over soft-iWARP: a transfer of 1 GiB with all bytes compared, and ten minutes of
# random traffic with resident memory that does not grow; and nothing is left of it all in the kernel.
# also: debian12
# variant: base
# timeout: 2400
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

boot_finished
engine_prepare engine_node
a=10.9.0.1@o2ib b=10.9.0.9@o2ib
for type in rxe siw; do
    link_add "${type}0" "$type"
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"
    engine_serve 1G 64M "$a"
    mark "1 GiB over $type"
    timeout 400 engine_node transfer "$b" "$a" 64M 1G
    mark "ten minutes over $type"
    timeout 800 engine_node random "$b" "$a" 600 7
    wait_for 20 engine_no_connection
    engine_stop
    wait_for 20 engine_nothing_left
    link_del "${type}0"
done
