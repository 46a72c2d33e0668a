# SPDX-License-Identifier: BSD-2-Clause
# What the scenarios of the port mapper share. Sourced after assert.sh.
# shellcheck shell=bash

# rdmacm.py, for at most RDMACM_LIMIT seconds.
rdmacm() { timeout "${RDMACM_LIMIT:-60}" python3 /vmtest/lib/rdmacm.py "$@"; }
# hold FD ADDRESS PORT [COUNT [NETNS]]: listeners on ports from PORT on, which last as long as this shell's file descriptor FD.
hold() {
    mkfifo "/run/hold$1"
    ${5:+ip netns exec "$5"} python3 /vmtest/lib/rdmacm.py listen "$2" "$3" "${4:-1}" <"/run/hold$1" >"/run/held$1" &
    eval "exec $1>/run/hold$1"
    wait_for 150 test -s "/run/held$1"
}
udp_is_open() { ss -Hlun 'sport = 3935' | grep -q 3935; }
# rdma-core's port mapper, of the disk of packages: $THEIR_IWPMD.
export THEIR_IWPMD=/opt/rdma-core/usr/sbin/iwpmd
unpack_theirs() {
    mkdir -p /pool
    mount -o ro /dev/disk/by-id/virtio-vmpool /pool
    dpkg -x /pool/rdma-core_*.deb /opt/rdma-core
}
# siw0 on the link to the other guest, with IPv6 address $1, ready for connections.
siw_to_peer() {
    peer_up
    ip address add "$1/64" dev "$PEER_NIC" nodad
    rdma link add siw0 type siw netdev "$PEER_NIC"
    modprobe rdma_ucm
    wait_for 10 test -e /dev/infiniband/rdma_cm
}
