#!/bin/bash
# Ours in this guest, rdma-core's iwpmd in the other: each asks the other, over IPv4 and IPv6, for ports that are there, that
# are not there and that are really mapped; and a host whose port mapper is gone costs ours no time and rdma-core's 10 s.
# images: debian12
# pool: yes
# timeout: 150
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

count() { iwpmd --dump | python3 -c "import json, sys; print(json.load(sys.stdin)['counters']['$1'])"; }
mapped_port() { iwpmd --dump | sed -n "s/.*\"local\":\"$PEER_OWN:$1\",\"mapped\":\"[0-9.]*:\([0-9]*\)\".*/\1/p"; }
has_mapping() { [[ -n $(mapped_port "$1") ]]; }
ping() { timeout 20 rping -c -a "$1" -p "$2" -C 3 || timeout 20 rping -c -a "$1" -p "$2" -C 3; }

boot_finished
siw_to_peer fd77::1
wait_active 60 iwpmd.service
modprobe rdmaboot_test_portmap

mark "theirs asks ours"
rping -s -a "$PEER_OWN" -p 7200 -P &
rping -s -a fd77::1 -p 7201 -P &
both_listen() { iwpmd --dump | grep -F '"[fd77::1]:7201"' | grep -q -F "\"$PEER_OWN:7200\""; }
wait_for 20 both_listen
# From here on ports are really mapped.
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map
rping -s -a "$PEER_OWN" -p 7202 -P &
wait_for 20 has_mapping 7202
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/nomap
mapped=$(mapped_port 7202)
assert_ne "$mapped" 7202 "mapped port"
# What an adapter does with the traffic of the mapped port before TCP sees it.
nft add table ip nat
nft add chain ip nat pre '{ type nat hook prerouting priority -100; }'
nft add rule ip nat pre tcp dport "$mapped" dnat to "$PEER_OWN:7202"
barrier a-listens >/dev/null
barrier b-has-asked >/dev/null
iwpmd --dump
# Three connections; a client that is repeated asks again.
(($(count requests_accepted) >= 3)) || fail "requests accepted: $(count requests_accepted)"
(($(count requests_rejected) >= 1)) || fail "requests rejected: $(count requests_rejected)"
assert_eq "$(count datagrams_ignored)" 0 "datagrams that ours does not understand"

mark "ours asks theirs"
barrier b-listens >/dev/null
ping "$PEER_OTHER" 7300
ping fd77::2 7301
(($(count answered) >= 2)) || fail "queries answered: $(count answered)"
assert_eq "$(count timed_out)" 0 "peers that said nothing"
assert_match "$(rdmacm connect "$PEER_OTHER" 7999)" ECONNREFUSED
assert_eq "$(count rejected)" 1 "queries rejected"
assert_eq "$(count datagrams_ignored)" 0 "datagrams that ours does not understand"

mark "the other port mapper is gone, then ours"
barrier a-has-asked >/dev/null
barrier b-has-no-mapper >/dev/null
ours=$(rdmacm connect "$PEER_OTHER" 7300)
assert_match "$ours" ok
assert_eq "$(count without_mapper)" 1 "hosts without a port mapper"
systemctl stop iwpmd.service
barrier a-has-no-mapper >/dev/null
theirs=$(barrier b-has-waited "$ours")
echo "connect to a host without a port mapper: ours ${ours% *} ms, rdma-core's ${theirs% *} ms"
((${theirs% *} >= 9000)) || fail "rdma-core's did not wait: ${theirs% *} ms"
((${ours% *} * 10 < ${theirs% *})) || fail "ours waited: ${ours% *} ms"
