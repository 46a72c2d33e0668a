#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# The port mapper on this machine's own processors, under more datagrams than an emulated one can make: 5,000 mappings, a
# flood with made-up sources, and a peer that asks for one of them once a second.
#   unshare --net --mount --pid --fork --kill-child iwpm_flood.sh IWPMD LIBRARY RATE SECONDS OUT
# OUT gets: flood (datagrams sent a second), answers (a line a second, of mapper.py), rss (KiB before and after), counters.
set -euo pipefail
iwpmd=$1 library=$2 rate=$3 seconds=$4 out=$5

# Its table, its socket and the devices it sees are its own: nothing of the machine's is touched.
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
mkdir /run/iwpmd
ip link set lo up
ip link add v0a type veth peer name v0b
ip address add 10.9.0.1/24 dev v0a
ip link set v0a up
ip link set v0b up
echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
echo 0 >/proc/sys/net/ipv4/conf/v0a/rp_filter
# Answers to made-up sources go to a router that is not there.
ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev v0a
ip route add 10.8.0.0/16 via 10.9.0.9 dev v0a

# What an iwpmd before it would have left: the name space has no RDMA that could ask for mappings.
for ((port = 20000; port < 25000; ++port)); do
    echo "1 1 0 10.9.0.1 $port 0 10.9.0.1 $((port + 10000))"
done >/run/iwpmd/mappings
"$iwpmd" --systemd >"$out/iwpmd.log" 2>&1 &
mapper=$!
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$mapper/status"; }
ask() { python3 "$library/mapper.py" ask 10.9.0.1 20000 "$@"; }
for _ in {1..50}; do
    ask >"$out/first"
    ! grep -q accept "$out/first" || break
done
grep -q accept "$out/first"
# What a flood needs once, such as the tables of what is answered, is there after the first second.
python3 "$library/flood.py" v0b 10.9.0.1 20000 1 "$rate" >/dev/null
rss >"$out/rss"
ask "$seconds" >"$out/answers" &
asker=$!
python3 "$library/flood.py" v0b 10.9.0.1 20000 "$seconds" "$rate" >"$out/flood"
wait "$asker"
rss >>"$out/rss"
"$iwpmd" --dump >"$out/dump"
kill "$mapper"
wait "$mapper"
