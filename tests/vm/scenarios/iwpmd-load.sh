#!/bin/bash
# The port mapper under load: 5,000 listeners through the kernel; SIGKILL and a restart leave all of them mapped; messages
# of the kernel that were lost are made good; datagrams of every length, and as many as the machine can make with made-up
# sources, take neither memory nor the next peer's answer.
# images: debian12
# also: debian13
# timeout: 300
. /vmtest/lib/assert.sh
. /vmtest/lib/iwarp.sh

LISTENERS=5000
table() { iwpmd --dump | python3 -c 'import json, sys; print(*(json.dumps(m) for m in json.load(sys.stdin)["mappings"]), sep="\n")'; }
count() { iwpmd --dump | python3 -c "import json, sys; print(json.load(sys.stdin)['counters']['$1'])"; }
listeners() { table | grep -E '"local": "10.9.0.1:2[0-9]{4}".*"reserved": true' || true; }
number_of_listeners() { listeners | grep -c . || true; }
same_listeners() {
    listeners >/run/after
    cmp /run/before /run/after
}
pid() { systemctl show -P MainPID iwpmd.service; }
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(pid)/status"; }
is_another() { [[ $(pid) != "$1" && $(pid) != 0 ]] && systemctl -q is-active iwpmd.service; }

boot_finished
echo "nl_sock_rbuf_size=1" >/etc/iwpmd.conf
siw_add siw0
wait_active 30 iwpmd.service
wait_for 10 test -e /dev/infiniband/rdma_cm
modprobe rdmaboot_test_portmap
echo siw0 >/sys/module/rdmaboot_test_portmap/parameters/map

mark "$LISTENERS listeners"
hold 8 10.9.0.1 20000 100
hold 9 10.9.0.1 21000 $((LISTENERS - 100))
echo "$((LISTENERS - 100)) listeners took $(cut -d' ' -f1 /run/held9) ms"
assert_eq "$(number_of_listeners)" "$LISTENERS" "mappings with reserved ports"

mark "SIGKILL"
listeners >/run/before
killed=$(pid)
started=$(now_ms)
kill -KILL "$killed"
wait_for 30 is_another "$killed"
echo "ready again after $(($(now_ms) - started)) ms"
assert same_listeners

mark "a restart"
started=$(now_ms)
systemctl restart iwpmd.service
echo "restarted after $(($(now_ms) - started)) ms"
assert same_listeners

mark "datagrams of every length"
accepted() { python3 /vmtest/lib/mapper.py ask 10.9.0.1 20000 | grep -q accept; }
assert accepted
ignored=$(count datagrams_ignored)
python3 /vmtest/lib/mapper.py lengths 10.9.0.1
assert accepted
assert_eq "$(count datagrams_ignored)" "$ignored" "datagrams that the kernel did not keep back"

mark "a flood with made-up sources"
sysctl -q net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.v0a.rp_filter=0
# Answers to them go to a router that is not there.
ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev v0a
ip route add 10.8.0.0/16 via 10.9.0.9 dev v0a
echo "$(python3 /vmtest/lib/flood.py v0b 10.9.0.1 20000 2) datagrams a second"
rss=$(rss_kb)
slab() { awk '/^kmalloc|^Slab/ { sum += $2 } END { print sum }' /proc/meminfo; }
slab=$(slab)
rate=$(python3 /vmtest/lib/flood.py v0b 10.9.0.1 20000 5)
# Before anything asks for the table: its text is held for a second.
grown=$(($(rss_kb) - rss))
echo "$rate datagrams a second; resident $rss kB before, $grown kB more after; the kernel $slab kB, $(slab) kB"
iwpmd --dump | sed 's/.*"counters"/"counters"/; s/"kernel".*//'
((rate > 1000)) || fail "no flood: $rate datagrams a second"
((grown < 512)) || fail "it grew from $rss by $grown kB"
# An emulated CPU is some twenty times slower than one that would see 100,000 a second (tests/bench/run flood does), and may
# stand still for a second while the host runs something else: that is no peer without an answer.
python3 /vmtest/lib/mapper.py ask 10.9.0.1 20000 8 >/run/answers &
asker=$!
rate=$(python3 /vmtest/lib/flood.py v0b 10.9.0.1 20000 10 3000)
wait "$asker"
echo "at $rate datagrams a second a peer is answered after (ms): $(tr '\n' ',' </run/answers)"
assert_no_match "$(</run/answers)" 'reject' "answers during the flood"
unanswered=$(grep -c none /run/answers || true)
((unanswered <= 2)) || fail "$unanswered of 8 were not answered within 1 s"
assert_active iwpmd.service

mark "messages of the kernel are lost"
# What is young may be missing in the kernel's list, and stays for 15 s.
kill -STOP "$(pid)"
exec 9>&-
gone() { rdma resource show cm_id | grep -c LISTEN | grep -qx 100; }
wait_for 90 gone
kill -CONT "$(pid)"
only_few() { [[ $(number_of_listeners) == 100 ]]; }
wait_for 60 only_few
assert_ne "$(count overruns)" 0 "overruns"
assert accepted
exec 8>&-
none() { [[ $(number_of_listeners) == 0 ]]; }
wait_for 60 none
