#!/bin/bash
# The connection engine on a real kernel, over soft-RoCE and soft-iWARP: what its seam relies on, messages of every kind
# with all bytes compared, a device that goes during a transfer and comes back, both sides connecting at once; and
# nothing is left of it all in the kernel. At length: engine-fabric, engine-node, engine-long; engine-two-guests.
# images: debian12
# also: debian13
# variant: base
# timeout: 200
# payload: build/*/tests/vm/engine_node build/*/tests/vm/fabric_check
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

boot_finished
engine_prepare engine_node fabric_check
a=10.9.0.1@o2ib b=10.9.0.9@o2ib

for type in rxe siw; do
    engine_device "$type"

    mark "what the seam relies on, over $type"
    timeout 60 fabric_check 10.9.0.1 10.9.0.9
    mark "messages of every kind"
    engine_serve 1M 1M "$a"
    timeout 60 engine_node transfer "$b" "$a" 1M 1 3976 64K 1M
    mark "the device goes and comes back"
    engine_through del add "$b" "$a"
    engine_stop
    mark "both connect at once"
    timeout 60 engine_node race "$a" "$b" 20
    wait_for 20 engine_nothing_left
    del
done
