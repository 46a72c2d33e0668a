#!/bin/bash
# rdma-core's side; headers are in iwpmd-peer.a.sh.
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

ping() { timeout 20 rping -c -a "$1" -p "$2" -C 3 || timeout 20 rping -c -a "$1" -p "$2" -C 3; }

boot_finished
unpack_theirs
systemctl mask iwpmd.service
siw_to_peer fd77::2
"$THEIR_IWPMD" --systemd &
theirs=$!
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
"$THEIR_IWPMD" --systemd &
wait_for 20 udp_is_open
waited=$(rdmacm connect "$PEER_OTHER" 7200)
echo "rdma-core's: $waited"
barrier b-has-waited "$waited" >/dev/null
