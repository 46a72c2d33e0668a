#!/bin/bash
# Every verb of rdmactl works on soft-RoCE and soft-iWARP, with the device of the boot and with one that is plugged in, on
# 80 columns and on 200; all JSON parses; bytes really move; what a device says about itself cannot control a terminal.
# images: debian12
# also: debian13
# timeout: 180
# cmdline: systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh

status() {
    local status=0
    "$@" >/tmp/said 2>&1 || status=$?
    echo "$status"
}
# on_terminal COLUMNS COMMAND...: what it writes to a terminal that is so wide, without colours.
on_terminal() {
    local columns=$1
    shift
    script -qec "stty cols $columns rows 50; $*" /dev/null </dev/null |
        # What a progress line replaced, colours.
        sed 's/^.*\x1b\[K//; s/\x1b\[[0-9;]*m//g' | tr -d '\r'
}
# fits COLUMNS COMMAND...: no line is longer.
fits() {
    local columns=$1
    on_terminal "$@" >/tmp/seen
    [[ -s /tmp/seen ]] || fail "nothing was said: $*"
    python3 -c 'import io, sys
lines = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8").read().splitlines()
wide = [line for line in lines if len(line) > int(sys.argv[1])]
sys.exit(f"wider than {sys.argv[1]} columns: {wide[0]!r}" if wide else 0)' "$columns" </tmp/seen
}
json() { python3 -c 'import json, sys; json.load(sys.stdin)'; }
serving() { [[ $(systemctl show -P StatusText rdma-responder.service) == *"$1"* ]]; }
described() { [[ $(<"/sys/class/infiniband/$1/node_desc") == *"$1" ]]; }

boot_finished
wait_active 30 rdma-hw.target
wait_device rxe0
mark "the device of the boot"
assert_match "$(rdmactl status)" "rxe0:1"
assert_match "$(rdmactl analyze blame)" "rxe0"

siw_add siw1 1
ip address add 10.9.1.9/24 dev v1a
ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
wait_device siw1
udevadm settle
wait_for 20 described rxe0
mark "the text that a device chose"
printf 'evil\033]0;x\007\033[2J' >/sys/class/infiniband/rxe0/node_desc
# Nor with colours: what is left of them are the codes of ours.
for verb in status "status rxe0" doctor metrics "status --json"; do
    # shellcheck disable=SC2086 # words
    script -qec "rdmactl $verb" /dev/null </dev/null >/tmp/raw || true
    ! grep -q -a -P '\x1b\]|\x1b\[2J|\x07' /tmp/raw || fail "rdmactl $verb lets the device's bytes through"
done
assert_match "$(rdmactl status --json)" 'x1b|u001b'

mark "each verb, narrow and wide"
for verb in status "status rxe0" "status siw1" doctor mapper "analyze blame" "analyze critical-chain" modules; do
    # shellcheck disable=SC2086 # words
    fits 80 rdmactl $verb || fail "rdmactl $verb on 80 columns"
done
fits 200 rdmactl status
assert_match "$(</tmp/seen)" "DESCRIPTION"
fits 200 rdmactl modules
for verb in status "status siw1" doctor mapper "analyze blame" modules; do
    # shellcheck disable=SC2086 # words
    { rdmactl $verb --json || true; } | json || fail "rdmactl $verb --json"
done
assert_match "$(rdmactl analyze plot)" "<svg.*siw1"
assert_match "$(rdmactl modules --dot)" 'digraph.*"ib_iser" \[label="ib_iser.nloaded in'
assert_match "$(rdmactl modules)" 'ib_iser +already-live +loaded in'
assert_match "$(rdmactl metrics)" 'rdma_boot_port_info|rdma_boot_'
assert_match "$(rdmactl link list 2>&1 || true)" '.'
assert_eq "$(status rdmactl wait --timeout=20 siw1:1)" 0
timeout 60 rdmactl monitor >/tmp/monitored &
monitor=$!
wait_for 30 grep -q siw1 /tmp/monitored
kill "$monitor"
wait "$monitor" || true

mark "what is wrong is said"
assert_eq "$(status rdmactl status no_such_device)" 1
assert_match "$(</tmp/said)" "no_such_device.*rxe0"
assert_eq "$(status rdmactl nothing)" 1
assert_match "$(</tmp/said)" "ping"
assert_eq "$(status rdmactl ping 10.9.0.1@tcp)" 1
assert_eq "$(status rdmactl peers)" 1
assert_match "$(</tmp/said)" "systemctl status rdma-responder.service"
assert_eq "$(status rdmactl ping --from 10.9.0.9 --count 1 --timeout 5 10.9.0.1)" 2
assert_match "$(</tmp/said)" "no answer: "
assert_eq "$(status rdmactl ping --count 1 10.9.0.1)" 1
assert_match "$(</tmp/said)" "--from"

mkdir -p /etc/rdma
for pair in "v0a 10.9.0.1 10.9.0.9 rxe0" "v1a 10.9.1.1 10.9.1.9 siw1"; do
    read -r netdev server client device <<<"$pair"
    mark "bytes move over $device"
    printf '[Responder]\nDevice=%s\nAddress=%s\nAllow=10.9.0.0/16\n' "$netdev" "$server" >/etc/rdma/responder.conf
    systemctl restart rdma-responder.service
    wait_for 20 serving "$server@o2ib on $device"
    rdmactl ping --from "$client" --interval 0.1 "$server"
    rdmactl ping --json --count 2 --interval 0.1 --from "$client" "$server" | json
    fits 80 rdmactl bench --from "$client" --time 0.3 --size 256K "$server"
    cat /tmp/seen
    rdmactl bench --json --time 0.2 --size 64K --from "$client" "$server" >/tmp/bench.json
    python3 -c 'import json
results = json.load(open("/tmp/bench.json"))["results"]
assert [one["operation"] for one in results] == ["put", "get", "put", "get"], results
assert all(one["transfers"] > 0 for one in results), results
assert results[3]["bytes_compared"] == results[3]["bytes"] > 0, results'
    fits 80 rdmactl peers
    assert_match "$(</tmp/seen)" "$client@o2ib"
    rdmactl peers --json | json
    assert_eq "$(status runuser -u nobody -- rdmactl ping --count 1 --from "$client" "$server")" 0 "as any user"
    assert_eq "$(status runuser -u nobody -- rdmactl peers)" 1
    assert_match "$(</tmp/said)" "root"
done
mark "a peer that stops to answer"
pkill -STOP -x rdma-responder
assert_eq "$(status timeout 30 rdmactl ping --count 1 --timeout 2 --from 10.9.1.9 10.9.1.1)" 2
assert_match "$(</tmp/said)" "no answer: "
pkill -CONT -x rdma-responder

mark "unplugged"
link_del siw1
wait_no_device siw1
assert_no_match "$(rdmactl status)" "siw1"
