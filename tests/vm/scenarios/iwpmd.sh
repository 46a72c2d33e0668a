#!/bin/bash
# The iWARP port mapper in one guest: an iWARP device starts it, in its sandbox; listen, connect and close are mapped, with
# the ports themselves and with reserved ones; a restart keeps live mappings; a host without a port mapper costs a connect
# no time; with the last device it stops.
# images: debian12
# also: debian13
# timeout: 150
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

table() { iwpmd --dump | python3 -c 'import json, sys; print(*(json.dumps(m) for m in json.load(sys.stdin)["mappings"]), sep="\n")'; }
count() { iwpmd --dump | python3 -c "import json, sys; print(json.load(sys.stdin)['counters']['$1'])"; }
mapped_port() { table | sed -n "s/.*\"local\": \"10.9.0.1:$1\", \"mapped\": \"10.9.0.1:\([0-9]*\)\".*/\1/p"; }
has_mapping() { [[ -n $(mapped_port "$1") ]]; }
# listeners: their part of the table. (The kernel forgets to drop from its list what siw connected with a port of
# its own, and hands it to the next port mapper.)
listeners() { table | grep -E '"local": "10.9.0.1:(720[01]|2[0-9]{4})"' || true; }
no_listener() { [[ -z $(listeners) ]]; }
# ping PORT: data over a connection to ourselves. rping was seen to hang about once in a hundred runs.
ping() { timeout 15 rping -c -a 10.9.0.1 -p "$1" -C 3 || timeout 15 rping -c -a 10.9.0.1 -p "$1" -C 3; }

boot_finished
assert_inactive iwpmd.service
siw_add siw0
wait_active 30 iwpmd.service
wait_active 30 rdma-hw.target
assert loaded iw_cm
assert_before rdma-load-modules@iwpmd.service iwpmd.service
assert_eq "$(ps -o user= -C iwpmd)" iwpmd "user"
assert_match "$(systemctl show -P StatusText iwpmd.service)" 'version 4'
wait_for 10 test -e /dev/infiniband/rdma_cm

mark "identity mappings, as siw has them"
rping -s -a 10.9.0.1 -p 7200 -P &
server=$!
wait_for 10 has_mapping 7200
assert_eq "$(mapped_port 7200)" 7200
ping 7200
assert_ne "$(count answered)" 0 "queries that were answered"
assert_ne "$(count requests_accepted)" 0 "requests that were accepted"
rejected=$(count rejected)
assert_match "$(rdmacm connect 10.9.0.1 7999)" 'ECONNREFUSED'
assert_eq "$(count rejected)" $((rejected + 1)) "a port without a mapping is rejected"

mark "reserved ports, as hardware needs them"
modprobe rdmaboot_test_portmap
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map
rping -s -a 10.9.0.1 -p 7201 -P &
mapped_server=$!
wait_for 10 has_mapping 7201
mapped=$(mapped_port 7201)
assert_ne "$mapped" 7201 "mapped port"
assert_not python3 -c "import socket; socket.socket().bind(('', $mapped))"
# What an adapter does with the traffic of the mapped port before TCP sees it.
nft add table ip nat
nft add chain ip nat out '{ type nat hook output priority -100; }'
nft add rule ip nat out tcp dport "$mapped" dnat to 10.9.0.1:7201
ping 7201

mark "a restart and a reload keep what is in use"
before=$(listeners)
systemctl restart iwpmd.service
assert_eq "$(listeners)" "$before" "mappings after a restart"
assert_not python3 -c "import socket; socket.socket().bind(('', $mapped))"
echo "peer_timeout=3" >>/etc/iwpmd.conf
echo "nonsense=3" >>/etc/iwpmd.conf
systemctl reload iwpmd.service
complained() { journal -t iwpmd | grep -q 'iwpmd.conf.*nonsense=3'; }
wait_for 10 complained
assert_eq "$(listeners)" "$before" "mappings after a reload"
ping 7201
pkill -USR1 -x iwpmd
told() { journal -t iwpmd | grep -q "mapping 10.9.0.1:7201 to 10.9.0.1:$mapped"; }
wait_for 10 told

mark "what is closed is removed, and its port free"
kill "$server" "$mapped_server"
wait "$server" "$mapped_server" || true
wait_for 10 no_listener
python3 -c "import socket; socket.socket().bind(('', $mapped))"

mark "a restart (iwpmd-load has many listeners)"
hold 9 10.9.0.1 20000 50
assert_eq "$(listeners | grep -c '"reserved": true')" 50 "reserved ports"
systemctl restart iwpmd.service
assert_eq "$(listeners | grep -c '"reserved": true')" 50 "reserved ports after a restart"
exec 9>&-
wait_for 30 no_listener

mark "a host without a port mapper"
# The other end of the link in a namespace of its own: its kernel says that nobody is at port 3935.
ip netns add other
ip link set v0b netns other
ip -n other address add 10.9.0.2/24 dev v0b
ip -n other link set v0b up
ip -n other link set lo up
result=$(rdmacm connect 10.9.0.2 7300)
echo "connect to a host without a port mapper: $result ms (rdma-core: 10000)"
assert_match "$result" 'ECONNREFUSED'
((${result% *} < 2000)) || fail "the connect waited"
assert_eq "$(count without_mapper)" 1 "hosts without a port mapper"
rdmacm connect 10.9.0.2 7300
assert_eq "$(count from_cache)" 1 "answers from the cache"

mark "nothing is left of it when the device goes"
link_del siw0
wait_inactive 20 iwpmd.service
assert_eq "$(systemctl show -P Result iwpmd.service)" success

mark "a host without IPv6, one without IPv4, and lists of addresses"
# start PROPERTY...: a port mapper by hand; it is ready when this returns.
start() { systemd-run -q --unit=by-hand --service-type=notify -p RuntimeDirectory=iwpmd "$@" iwpmd --systemd; }
answer() { python3 /vmtest/lib/mapper.py ask "$1" 7200; }
start -p RestrictAddressFamilies=~AF_INET6
assert_match "$(answer 127.0.0.1)" reject
assert_eq "$(answer ::1)" none
systemctl stop by-hand.service
start -p RestrictAddressFamilies=~AF_INET
assert_match "$(answer ::1)" reject
assert_eq "$(answer 127.0.0.1)" none
systemctl stop by-hand.service
echo "listen_address=10.9.0.1" >>/etc/iwpmd.conf
start
assert_match "$(answer 10.9.0.1)" reject
assert_eq "$(answer 127.0.0.1)" none
echo "allow_network=10.8.0.0/16" >>/etc/iwpmd.conf
pkill -HUP -x iwpmd
not_answered() { [[ $(answer 10.9.0.1) == none ]]; }
wait_for 10 not_answered
systemctl stop by-hand.service
