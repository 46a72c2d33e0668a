#!/bin/bash
# rdmactl's verbs on soft-RoCE and soft-iWARP, with devices that were plugged in: what they tell is so, fits a narrow terminal,
# needs no root, follows a device that goes; the metrics' unit writes its file in its sandbox.
# images: debian12
# also: debian13
# timeout: 120
. /vmtest/lib/assert.sh

# value PYTHON: of the object `status` on standard input
value() { python3 -c "import json, sys; o = json.load(sys.stdin); print($1)"; }
narrow() {
    local line
    while IFS= read -r line; do
        ((${#line} <= 80)) || fail "wider than 80 columns: $line"
    done < <(COLUMNS=80 rdmactl "$@")
}
level() { rdmactl status --json | value "[p['readiness']['level'] for d in o['devices'] if d['name'] == '$1' for p in d['ports']][0]"; }
is_level() { [[ $(level "$1") == "$2" ]]; }
monitored() { grep -q -E "$1" "$VMTEST_OUT/monitor"; }
export LC_ALL=C.UTF-8

boot_finished
mark "no device"
assert_eq "$(rdmactl status)" "No RDMA device."
assert_match "$(rdmactl mapper 2>&1 || true)" 'iwpmd.*No such file or directory'
rdmactl monitor --json >"$VMTEST_OUT/monitor" &
monitor=$!

mark "rxe0 and siw0 are plugged in"
rxe_add rxe0 0
siw_add siw0 1
wait_active 40 rdma-hw.target
wait_active 40 iwpmd.service
wait_for 20 is_level rxe0 address
wait_for 20 is_level siw0 address
rdmactl status
narrow status
narrow status rxe0
narrow mapper
assert_match "$(rdmactl status)" '● +rxe0:1 +roce +v0a +ACTIVE'
assert_match "$(rdmactl status)" '● +siw0:1 +iwarp +v1a +ACTIVE'
assert_match "$(rdmactl status rxe0)" 'GID 1/[0-9]+: .*RoCE v2'
# root reads the whole journal; what udev's rules started says which device it was for
rdmactl status rxe0 --json | value "o['details']['journal']"
assert_match "$(rdmactl status mlx9 2>&1 || true)" 'mlx9.*rxe0, siw0'

mark "without privilege"
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"; }
assert_eq "$(as_nobody rdmactl status --json 2>/dev/null | value "len(o['devices'])")" 2
assert_match "$(as_nobody rdmactl status rxe0 2>&1 >/dev/null)" 'journal.*systemd-journal'

mark "mapper"
assert_match "$(rdmactl mapper)" 'kernel: served, interface version 4'
assert_eq "$(rdmactl mapper --json | value "o['kernel']['state']")" served

mark "analyze"
rdmactl analyze blame
narrow analyze blame
assert_match "$(rdmactl analyze blame)" 'device +rxe0 +roce'
assert_match "$(rdmactl analyze blame)" 'module +rdma_ucm +loaded'
rdmactl analyze critical-chain
assert_match "$(rdmactl analyze critical-chain)" '^rdma-hw.target @.*rdma-load-modules@.*device (rxe|siw)0 @'
rdmactl analyze plot >"$VMTEST_OUT/plot.svg"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$VMTEST_OUT/plot.svg"
# What was plugged in later, and nothing of before
assert_eq "$(rdmactl analyze blame --json --since "@$(($(date +%s) + 1))" | value "len(o['bars'])")" 0
assert_ne "$(rdmactl analyze blame --json --since -10min | value "len(o['bars'])")" 0

mark "metrics, by the unit in its sandbox"
assert_inactive rdma-metrics.timer
assert_eq "$(systemctl is-enabled rdma-metrics.timer || true)" disabled
mkdir -p /var/lib/prometheus/node-exporter
systemctl start rdma-metrics.service
file=/var/lib/prometheus/node-exporter/rdma.prom
assert_eq "$(stat -c %a "$file")" 644
for line in 'rdma_boot_port_state_id\{device="rxe0",port="1"\} 4' 'rdma_boot_mapper_up 1' \
    'rdma_boot_port_ready\{device="siw0",port="1",level="address"\} 1' 'rdma_boot_port_hw_counter_total\{device="rxe0"' \
    'rdma_boot_module_load_result\{module="rdma_ucm",list="[a-z]*",result="loaded"\} 1'; do
    assert_match "$(<"$file")" "$line"
done
assert_eq "$(journal -t rdmactl)" "" "what the unit had to complain about"

mark "link and modules lead to their programs"
rdmactl link list
assert_match "$(rdmactl modules rdma)" rdma_ucm
rdmactl wait --quiet --timeout=20 rxe0:1

mark "the monitor follows"
ip link set v0a down
wait_for 20 monitored '"event":"not yet","object":"rxe0:1"'
wait_for 20 monitored '"event":"port error","object":"rxe0".*"source":"verbs"'
link_del siw0
wait_for 20 monitored '"event":"gone","object":"siw0:1"'
assert monitored '"event":"removed","object":"siw0".*"source":"udev"'
assert_eq "$(rdmactl status --json | value "[d['name'] for d in o['devices']]")" "['rxe0']"
# It does not keep a device from going.
link_del rxe0
wait_no_device rxe0
wait_for 20 monitored '"event":"gone","object":"rxe0:1"'

mark "it sleeps while nothing happens"
udevadm settle
sleep 2
read -r before _ <"/proc/$monitor/schedstat"
sleep 4
read -r after _ <"/proc/$monitor/schedstat"
((after - before <= 100000000)) || fail "the monitor used $(((after - before) / 1000)) us while nothing happened"
kill -INT "$monitor"
wait "$monitor"
python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$VMTEST_OUT/monitor"
