#!/bin/bash
# rdma-wait-online ends when the last thing comes that its level asks for, waits for a listed rail that is not there, says
# what is missing when the time is over, tells broken from not yet, finds what no event told within 5 s, follows renames,
# uses no CPU while it waits, and does all of this in the sandbox of its unit.
# images: debian13
# also: debian12
# timeout: 180
. /vmtest/lib/assert.sh

# status COMMAND...: its exit status
status() {
    local status=0
    "$@" >/dev/null 2>&1 || status=$?
    echo "$status"
}
# waiting TEXT: what the unit says that it waits for
waiting() { [[ $(systemctl show -P StatusText "$unit") == *"$1"* ]]; }
# listens PID: it has opened the events of a device
listens() { find "/proc/$1/fd" -lname '/dev/infiniband/uverbs*' | grep -q .; }
wait_online() { timeout 60 rdma-wait-online --timeout=3 "$@" 2>&1; }

boot_finished

mark "no device, then no port, no address: the unit waits for each in turn"
unit=rdma-wait-online.service
assert_inactive rdma-online.target "$unit"
mkdir -p /etc/rdma/wait-online.conf.d
printf '[Wait]\nTargets=rxe0:1\nLevel=address\nTimeout=100\n' >/etc/rdma/wait-online.conf
assert_eq "$(lsmod | grep -c ib_uverbs || true)" 0 "RDMA modules loaded before the unit starts"
systemctl start --no-block rdma-online.target
wait_for 20 waiting "rxe0:1: not yet: no such device"
ip link add v0a type veth peer name v0b
# No IPv6: a link-local address is not missed, and duplicate address detection not waited for.
rdma link add rxe0 type rxe netdev v0a
wait_for 20 waiting "rxe0:1: not yet: port DOWN, netdev v0a is down or has no carrier"
ip link set v0b up
ip link set v0a up
wait_for 20 waiting "rxe0:1: not yet: no GID but link-local ones on netdev v0a"
assert_inactive rdma-online.target

mark "no CPU while it waits"
pid=$(systemctl show -P MainPID "$unit")
used_us() {
    local used
    read -r used _ <"/proc/$pid/schedstat"
    echo $((used / 1000))
}
# After an event it looks again a few times; then only every 5 s.
sleep 2
before=$(used_us)
sleep 6
used=$(($(used_us) - before))
echo "$used us in 6 s; $(grep ctxt "/proc/$pid/status" | tr '\n' ' ')"
# A look or two; under emulation beside another guest one was seen to take 40 ms. Who looks every second uses 600 ms, who
# spins 6 s. The figure of a quiet machine is in docs/benchmarks/wait.md.
((used <= 200000)) || fail "$used us used while nothing happened"
# Asynchronous events are heard: the device is open.
assert listens "$pid"

assert_eq "$(systemctl show -P NRestarts "$unit")" 0
ip address add 10.9.0.1/24 dev v0a
wait_active 20 rdma-online.target
assert_active "$unit"
assert_match "$(journal -t rdma-wait-online)" 'ready after [0-9]+ ms'
assert_no_match "$(journal -t rdma-wait-online)" 'not yet'
assert_before "$unit" rdma-online.target

mark "levels and targets"
rm /etc/rdma/wait-online.conf
for level in device chardev port address; do
    assert_eq "$(status wait_online --quiet "--level=$level")" 0 "level $level"
done
for target in all any rxe0 rxe0:1 netdev=v0a; do
    assert_eq "$(status wait_online --quiet "$target")" 0 "target $target"
done
assert_eq "$(status wait_online --quiet --address=10.9.0.0/16)" 0
assert_eq "$(status wait_online --quiet --timeout=1 --address=10.8.0.0/16)" 1
assert_match "$(wait_online --level=path || echo "status $?")" 'expected a peer to ask: --peer.*status 1'
assert_eq "$(status runuser -u nobody -- rdma-wait-online --quiet --timeout=2 --level=port)" 0 "as any user"

mark "what is missing when the time is over"
text=$(wait_online --timeout=1 rxe0:1 rxe1:1 rxe0:2 netdev=v9 pci=03:00.0 || echo "status $?")
assert_match "$text" 'rxe1:1: not yet: no such device'
assert_match "$text" 'rxe0:2: not yet: the device has no such port'
assert_match "$text" 'netdev=v9: not yet: no RDMA port belongs to this netdev'
assert_match "$text" 'pci=03:00.0: not yet: no RDMA device at this PCI address'
assert_no_match "$text" 'rxe0:1'
assert_match "$text" 'status 1'
json=$(wait_online --timeout=1 --json rxe0:1 rxe1:1 || true)
assert_eq "$(python3 -c 'import json, sys
answer = json.load(sys.stdin)
print(answer["status"], answer["level"], *(port["status"] for port in answer["ports"]))' <<<"$json")" \
    "not yet port ready not yet"

mark "what no event tells is found within 5 s"
read -r major minor < <(stat -c '%Hr %Lr' /dev/infiniband/rdma_cm)
rm /dev/infiniband/rdma_cm
timeout 60 rdma-wait-online --timeout=40 --level=chardev rxe0 &
waiter=$!
# Past the looks that follow an event.
sleep 4
assert_match "$(wait_online --timeout=1 --level=chardev rxe0 || true)" 'rxe0:1: not yet:.*rdma_cm'
made=$(now_ms)
mknod /dev/infiniband/rdma_cm c "$major" "$minor"
wait "$waiter"
took=$(($(now_ms) - made))
echo "found after $took ms"
((took <= 6500)) || fail "a node without an event was found after $took ms"

mark "a rail that goes and comes back while another is waited for"
mkdir -p /run/systemd/system/rdma-wait-online@.service.d
printf '[Service]\nEnvironment=RDMA_BOOT_DEBUG=1\n' >/run/systemd/system/rdma-wait-online@.service.d/debug.conf
systemctl daemon-reload
unit=rdma-wait-online@rxe1:1.service
systemctl start --no-block "$unit"
wait_for 20 waiting "rxe1:1: not yet: no such device"
# The waiter must not hold a device that goes: the deletion would hang for soft-iWARP.
ip link add v1a type veth peer name v1b
siw=no
if rdma link add siw1 type siw netdev v1a; then
    siw=yes
    rdma-wait-online --timeout=40 --level=address siw1 &
    waiter=$!
    wait_for 20 listens "$waiter"
    assert timeout 20 rdma link delete siw1
    wait_no_device siw1
    ip address add 10.9.1.1/24 dev v1a
    ip link set v1b up
    ip link set v1a up
    rdma link add siw1 type siw netdev v1a
    wait "$waiter"
    rdma link delete siw1
fi
echo "siw: $siw"
rdma link add rxe1 type rxe netdev v1a
ip link set v1b up
ip link set v1a up
wait_active 20 "$unit"
# Notices reach the unit in its sandbox; of RDMA devices from Linux 6.12 on.
notices=$(journal -t rdma-wait-online | grep -o 'notice of .*' | sort -u | xargs)
if [[ $(printf '6.12\n%s\n' "$(uname -r)" | sort -V | head -1) == 6.12 ]]; then
    assert_eq "$notices" "notice of RDMA netlink notice of rtnetlink"
else
    assert_eq "$notices" "notice of rtnetlink"
fi

mark "across a rename"
rdma-wait-online --timeout=40 --level=address --address=10.9.8.0/24 netdev=v0a &
waiter=$!
wait_for 20 listens "$waiter"
rdma dev set rxe0 name moved0
ip address add 10.9.8.1/24 dev v0a
assert wait "$waiter"
rdma-wait-online --timeout=40 rxe0 &
waiter=$!
sleep 1
rdma dev set moved0 name rxe0
assert wait "$waiter"

mark "a device that breaks while it is waited for"
modprobe rdmaboot_test_event
rdma-wait-online --timeout=40 --level=address --address=10.8.0.0/16 rxe0 >/root/broken 2>&1 &
waiter=$!
wait_for 20 listens "$waiter"
echo rxe0 >/sys/module/rdmaboot_test_event/parameters/fatal
got=0
wait "$waiter" || got=$?
assert_match "$(cat /root/broken)" 'rxe0:1: broken: .*fatal'
assert_eq "$got" 2 "exit status for a device that broke"

mark "broken is not the same as not yet"
# A machine as files, with an InfiniBand HCA that somebody disabled.
recorded=/run/recorded
state=$recorded/sys/class/infiniband/mlx5_0/ports/1
mkdir -p "$state" $recorded/sys/class/infiniband_verbs/uverbs0 $recorded/dev/infiniband
echo "1: CA" >$recorded/sys/class/infiniband/mlx5_0/node_type
echo InfiniBand >"$state/link_layer"
echo mlx5_0 >$recorded/sys/class/infiniband_verbs/uverbs0/ibdev
touch $recorded/dev/infiniband/{uverbs0,rdma_cm}
echo "4: ACTIVE" >"$state/state"
echo "5: LinkUp" >"$state/phys_state"
assert_eq "$(status wait_online --root=/run/recorded mlx5_0:1)" 0
echo "1: DOWN" >"$state/state"
echo "3: Disabled" >"$state/phys_state"
assert_match "$(wait_online --root=/run/recorded mlx5_0:1 || echo "status $?")" 'mlx5_0:1: broken: port disabled.*status 2'
echo "2: INIT" >"$state/state"
echo "5: LinkUp" >"$state/phys_state"
assert_match "$(wait_online --root=/run/recorded mlx5_0:1 || echo "status $?")" \
    'mlx5_0:1: not yet: port INIT, waiting for a subnet manager.*status 1'

mark "a mistake in the configuration is told with its line, and the rest counts"
printf '[Wait]\nTargets=rxe0:1\nLevel=high\n' >/etc/rdma/wait-online.conf.d/10-mine.conf
assert_match "$(wait_online)" '10-mine.conf:3: read level "high"'
