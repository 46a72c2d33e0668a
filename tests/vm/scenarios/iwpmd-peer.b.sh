#!/bin/bash
# rdma-core's side; headers are in iwpmd-peer.a.sh.
. /vmtest/lib/assert.sh

rdmacm() { timeout 60 python3 /vmtest/lib/rdmacm.py "$@"; }
ping() { timeout 20 rping -c -a "$1" -p "$2" -C 3 || timeout 20 rping -c -a "$1" -p "$2" -C 3; }

boot_finished
mkdir -p /pool
mount -o ro /dev/disk/by-id/virtio-vmpool /pool
dpkg -x /pool/rdma-core_*.deb /opt/rdma-core
systemctl mask iwpmd.service
peer_up
ip address add fd77::2/64 dev "$PEER_NIC" nodad
rdma link add siw0 type siw netdev "$PEER_NIC"
modprobe rdma_ucm
wait_for 10 test -e /dev/infiniband/rdma_cm
/opt/rdma-core/usr/sbin/iwpmd --systemd &
theirs=$!
udp_is_open() { ss -Hlun 'sport = 3935' | grep -q 3935; }
wait_for 20 udp_is_open

barrier a-listens >/dev/null
ping "$PEER_OTHER" 7200
ping fd77::1 7201
ping "$PEER_OTHER" 7202
assert_match "$(rdmacm connect "$PEER_OTHER" 7999)" ECONNREFUSED
barrier b-has-asked >/dev/null

rping -s -a "$PEER_OWN" -p 7300 -P &
rping -s -a fd77::2 -p 7301 -P &
both_listen() { rdma resource show cm_id | grep -c LISTEN | grep -qx 2; }
wait_for 20 both_listen
barrier b-listens >/dev/null
barrier a-has-asked >/dev/null

kill "$theirs"
wait "$theirs" || true
barrier b-has-no-mapper >/dev/null
barrier a-has-no-mapper >/dev/null
/opt/rdma-core/usr/sbin/iwpmd --systemd &
wait_for 20 udp_is_open
waited=$(rdmacm connect "$PEER_OTHER" 7200)
echo "rdma-core's: $waited"
barrier b-has-waited "$waited" >/dev/null
