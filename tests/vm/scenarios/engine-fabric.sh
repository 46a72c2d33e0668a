#!/bin/bash
# The engine's seam on a real kernel, over soft-RoCE and soft-iWARP: connecting, refusing, messages, writes, keys that
# are dead when they should be, disconnects, and a device that goes during a write and comes back.
# also: debian12
# variant: base
# timeout: 240
# payload: build/*/tests/vm/fabric_check
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

boot_finished
engine_prepare fabric_check

for type in rxe siw; do
    link_add "${type}0" "$type"
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"
    mark "claims over $type"
    timeout 60 fabric_check 10.9.0.1 10.9.0.9
    mark "removal of $type"
    timeout 60 fabric_check 10.9.0.1 10.9.0.9 removal >"/tmp/$type" &
    removal=$!
    wait_for 20 grep -q writing "/tmp/$type"
    link_del "${type}0"
    wait_for 20 grep -q gone "/tmp/$type"
    link_add "${type}0" "$type"
    wait "$removal" || fail "$(cat "/tmp/$type")"
    cat "/tmp/$type"
    assert engine_nothing_left
    link_del "${type}0"
done
