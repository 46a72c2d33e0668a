#!/bin/bash
# The other side of iwpm-capture.a.sh.
. /vmtest/lib/assert.sh

rdmacm() { timeout 5 python3 /vmtest/lib/rdmacm.py "$@"; }
# hold FD ADDRESS PORT: a listener that lasts as long as this shell's file descriptor FD.
hold() {
    mkfifo "/run/hold$1"
    python3 /vmtest/lib/rdmacm.py listen "$2" "$3" 1 <"/run/hold$1" >"/run/held$1" &
    eval "exec $1>/run/hold$1"
    wait_for 30 test -s "/run/held$1"
}
udp_is_open() { ss -Hlun 'sport = 3935' | grep -q 3935; }
boot_finished
systemctl mask iwpmd.service
mkdir -p /pool
mount -o ro /dev/disk/by-id/virtio-vmpool /pool
dpkg -x /pool/rdma-core_*.deb /opt/rdma-core
modprobe iw_cm
peer_up
ip address add fd77::2/64 dev "$PEER_NIC" nodad
rdma link add siw0 type siw netdev "$PEER_NIC"
modprobe rdma_ucm
wait_for 10 test -e /dev/infiniband/rdma_cm
/opt/rdma-core/usr/sbin/iwpmd --systemd &
wait_for 30 udp_is_open
barrier a-listens >/dev/null
for target in "$PEER_OTHER 7200" "fd77::1 7201" "$PEER_OTHER 7202" "fd77::1 7203" "$PEER_OTHER 7204" "fd77::1 7205" "$PEER_OTHER 7999" "fd77::1 7998"; do
    # shellcheck disable=SC2086
    rdmacm connect $target || true
done
barrier b-has-asked >/dev/null
hold 10 "$PEER_OWN" 7300
hold 11 fd77::2 7301
barrier b-listens >/dev/null
barrier finished >/dev/null
