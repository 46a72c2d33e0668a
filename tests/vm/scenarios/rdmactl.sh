#!/bin/bash
# Every verb of rdmactl works on soft-RoCE and soft-iWARP, with the devices of the boot and with those that are plugged in,
# on 80 columns and on 200; all JSON parses; bytes really move; what a device says about itself cannot control a terminal.
# images: debian12
# also: debian13
# timeout: 300
# cmdline: systemd.wants=rxe-early.service systemd.wants=siw-early.service
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
wait_device siw1
mark "the devices of the boot"
assert_match "$(rdmactl status)" "rxe0:1"
assert_match "$(rdmactl status)" "siw1:1"
assert_match "$(rdmactl analyze blame)" "rxe0"
assert_match "$(rdmactl analyze blame)" "siw1"

timeout 100 rdmactl monitor >/tmp/monitored &
monitor=$!
wait_for 30 grep -q siw1 /tmp/monitored
rxe_add rxe2 2
siw_add siw3 3
wait_device rxe2
wait_device siw3
udevadm settle
for device in rxe2:1 siw3:1; do
    assert_eq "$(status rdmactl wait --timeout=20 --level=address "$device")" 0 "$device"
    wait_for 20 grep -q "ready.*$device" /tmp/monitored
done
kill "$monitor"
wait "$monitor" || true
for number in 0 1 2 3; do
    ip address add "10.9.$number.9/24" dev "v${number}a" 2>/dev/null || true
done
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
for verb in status "status rxe0" "status siw1" "status rxe2" "status siw3" doctor mapper "analyze blame" \
    "analyze critical-chain" modules "link list"; do
    for columns in 80 200; do
        # shellcheck disable=SC2086 # words
        fits "$columns" rdmactl $verb || fail "rdmactl $verb on $columns columns"
        case $verb in
        status)
            assert_eq "$(grep -o -E '(rxe|siw)[0-3]:1' /tmp/seen | sort -u | xargs)" "rxe0:1 rxe2:1 siw1:1 siw3:1"
            ((columns == 80)) || assert_match "$(</tmp/seen)" "DESCRIPTION"
            ;;
        "status "*) assert_match "$(</tmp/seen)" "${verb#status }:1" ;;
        "analyze blame") assert_match "$(</tmp/seen)" "siw3" ;;
        esac
    done
done
for verb in status "status siw1" "status rxe2" doctor mapper "analyze blame" modules; do
    # shellcheck disable=SC2086 # words
    { rdmactl $verb --json || true; } | json || fail "rdmactl $verb --json"
done
assert_match "$(rdmactl analyze plot)" "<svg.*siw1"
assert_match "$(rdmactl analyze --since -5min plot)" "<svg.*rxe2"
assert_match "$(rdmactl modules --dot)" 'digraph.*"ib_iser" \[label="ib_iser.nloaded in'
assert_match "$(rdmactl modules)" 'ib_iser +already-live +loaded in'
assert_match "$(rdmactl metrics)" 'rdma_boot_port_info|rdma_boot_'
assert_eq "$(status rdmactl wait --timeout=20 siw1:1)" 0

mark "names after TAB"
echo "10.9.0.1 store1" >>/etc/hosts
. /usr/share/bash-completion/completions/rdmactl
offered() {
    local COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    _rdmactl rdmactl "${COMP_LINE##* }" ''
    echo "${COMPREPLY[*]}"
}
assert_eq "$(offered 'rdmactl status ')" "rxe0 rxe2 siw1 siw3"
assert_eq "$(offered 'rdmactl analyze critical-chain rdma-hw')" "rdma-hw.path rdma-hw.target"
assert_match "$(offered 'rdmactl ping ')" "store1"

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
for pair in "0 rxe0" "2 rxe2" "3 siw3" "1 siw1"; do
    read -r number device <<<"$pair"
    netdev=v${number}a server=10.9.$number.1 client=10.9.$number.9
    mark "bytes move over $device"
    printf '[Responder]\nDevice=%s\nAddress=%s\nAllow=10.9.0.0/16\n' "$netdev" "$server" >/etc/rdma/responder.conf
    systemctl restart rdma-responder.service
    wait_for 20 serving "$server@o2ib on $device"
    for columns in 80 200; do
        fits "$columns" rdmactl ping --count 2 --from "$client" --interval 0.1 "$server"
        assert_match "$(</tmp/seen)" "2 sent, 2 answered"
    done
    rdmactl ping --count 1 --on "$device" "$server"
    rdmactl ping --json --count 2 --interval 0.1 --from "$client" "$server" | json
    for columns in 80 200; do
        fits "$columns" rdmactl bench --from "$client" --time 0.2 --size 256K "$server"
    done
    cat /tmp/seen
    rdmactl bench --json --time 0.2 --size 64K --from "$client" "$server" >/tmp/bench.json
    python3 -c 'import json
results = json.load(open("/tmp/bench.json"))["results"]
assert [one["operation"] for one in results] == ["put", "get", "put", "get"], results
assert all(one["transfers"] > 0 for one in results), results
assert results[3]["bytes_compared"] == results[3]["bytes"] > 0, results'
    for columns in 80 200; do
        fits "$columns" rdmactl peers
        assert_match "$(</tmp/seen)" "$client@o2ib"
    done
    rdmactl peers --json | json
    assert_eq "$(status runuser -u nobody -- rdmactl ping --count 1 --from "$client" "$server")" 0 "as any user"
    assert_eq "$(status runuser -u nobody -- rdmactl peers)" 1
    assert_match "$(</tmp/said)" "root"
done
mark "metrics, in the sandbox of their unit"
mkdir -p /var/lib/prometheus/node-exporter
assert systemctl start rdma-metrics.service
prom=$(</var/lib/prometheus/node-exporter/rdma.prom)
for device in rxe0 siw1 rxe2 siw3; do
    assert_match "$prom" "rdma_boot_port_ready.device=\"$device\",port=\"1\",level=\"address\". 1"
done
assert_match "$prom" "rdma_boot_mapper_up 1"
assert_match "$prom" "rdma_boot_responder_serving 1"
assert_match "$prom" 'rdma_boot_responder_events_total.event="pings_answered". [1-9]'
assert_match "$prom" 'rdma_boot_responder_written_bytes_total [1-9]'
cp /var/lib/prometheus/node-exporter/rdma.prom "$VMTEST_OUT/"

mark "a peer that stops to answer"
pkill -STOP -x rdma-responder
assert_eq "$(status timeout 30 rdmactl ping --count 1 --timeout 2 --from 10.9.1.9 10.9.1.1)" 2
assert_match "$(</tmp/said)" "no answer: "
pkill -CONT -x rdma-responder

mark "unplugged"
link_del siw3
wait_no_device siw3
assert_no_match "$(rdmactl status)" "siw3"
