#!/bin/bash
# The other side of iwpm-capture.a.sh.
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

export RDMACM_LIMIT=5
boot_finished
systemctl mask iwpmd.service
unpack_theirs
modprobe iw_cm
siw_to_peer fd77::2
"$THEIR_IWPMD" --systemd &
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
