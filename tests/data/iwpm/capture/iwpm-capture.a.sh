#!/bin/bash
# How hosts.txt and restart.txt were made: what rdma-core's iwpmd says and hears, as the one that asks and as the one that is
# asked, and its next process. To run it, copy both scripts to tests/vm/scenarios; then convert out/strace-first and -second.
# images: debian12
# pool: yes
# timeout: 240
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

export RDMACM_LIMIT=5
udp_is_closed() { ! udp_is_open; }
start() {
    strace -f -qq -xx -s 8192 -e trace=network -o "$VMTEST_OUT/strace-$1" "$THEIR_IWPMD" --systemd &
    wait_for 30 udp_is_open
    sleep 2
}

boot_finished
systemctl mask iwpmd.service
unpack_theirs
modprobe iw_cm
siw_to_peer fd77::1
modprobe rdmaboot_test_portmap
start first

hold 10 "$PEER_OWN" 7200
hold 11 fd77::1 7201
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map
hold 12 "$PEER_OWN" 7202
hold 13 fd77::1 7203
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/nomap
hold 14 0.0.0.0 7204
hold 15 :: 7205
mark "b asks"
barrier a-listens >/dev/null
barrier b-has-asked >/dev/null
mark "a asks"
barrier b-listens >/dev/null
for target in "$PEER_OTHER 7300" "fd77::2 7301" "$PEER_OTHER 7999" "fd77::2 7998"; do
    # shellcheck disable=SC2086
    rdmacm connect $target || true
done
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map
for target in "$PEER_OTHER 7300" "fd77::2 7301"; do
    # shellcheck disable=SC2086
    rdmacm connect $target || true
done
sleep 2
mark "errors"
ip netns add other
ip link add o0 type veth peer name o1
ip link set o0 netns other
ip link set o1 up
ip -n other address add "$PEER_OWN/24" dev o0
ip -n other link set o0 up
ip -n other link set lo up
ip netns exec other rdma link add siw1 type siw netdev o0
hold 16 "$PEER_OWN" 7200 1 other
daemon=$(pgrep -x iwpmd)
used=$(find "/proc/$daemon/fd" -type l | wc -l)
prlimit --pid "$daemon" --nofile="$used:$used"
hold 17 "$PEER_OWN" 7210
sleep 2
kill "$daemon"
wait_for 20 udp_is_closed
mark "second process"
start second
exec 10>&- 11>&- 12>&- 13>&-
sleep 2
barrier finished >/dev/null
