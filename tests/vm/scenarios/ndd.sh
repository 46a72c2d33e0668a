#!/bin/bash
# Node descriptions follow devices and host names: set when rdma-ndd says that it is ready, for devices that come later, at
# a rename, at a new host name; formats from drop-ins; what is wrong in them is told and the rest applies. All of it in
# the unit's sandbox, and without a wake-up while nothing happens.
# images: debian13
# also: debian12
# timeout: 150
. /vmtest/lib/assert.sh

describes() { [[ $(<"/sys/class/infiniband/$1/node_desc") == "$2" ]]; }
status_says() { [[ $(systemctl show -P StatusText rdma-ndd) == *"$1"* ]]; }
journal_says() { [[ $(journal -t rdma-ndd) =~ $1 ]]; }
# All switches of rdma-ndd to another process, voluntary or not.
switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$(systemctl show -P MainPID rdma-ndd)/status"; }

boot_finished
hostname vm1.example.org
assert_inactive rdma-ndd.service

mark "the first device: described before rdma-ndd is ready, and that before rdma-hw.target"
rxe_add rxe0 0
wait_active 40 rdma-hw.target
assert describes rxe0 "vm1 rxe0"
assert_active rdma-ndd.service
assert_before rdma-ndd.service rdma-hw.target
pid=$(systemctl show -P MainPID rdma-ndd)
assert status_says '1 of 1 device described: rxe0 "vm1 rxe0"'

mark "a second one, and one that cannot have a description"
rxe_add rxe1 1
wait_for 10 describes rxe1 "vm1 rxe1"
siw_add siw0 2
udevadm settle
assert_ne "$(<"/sys/class/infiniband/siw0/node_desc")" "vm1 siw0"
wait_for 10 status_says '1 cannot be'

mark "renamed"
rdma dev set rxe0 name foo
wait_for 10 describes foo "vm1 foo"

mark "a new host name, as DHCP would bring it"
hostname vm2
wait_for 10 describes foo "vm2 foo"
wait_for 10 describes rxe1 "vm2 rxe1"

mark "formats, one of them wrong"
mkdir -p /etc/rdma/rdma-ndd.conf.d
cat >/etc/rdma/rdma-ndd.conf.d/site.conf <<'CONF'
[NodeDescription]
Format=%H %%%i
Colour=red
[Device foo*]
Format=%h is %x
[Device rxe*]
Format=soft %d
CONF
index=$(rdma dev show foo | sed -n 's/^\([0-9]*\):.*/\1/p')
systemctl reload rdma-ndd
wait_for 10 describes foo "vm2 %$index"
wait_for 10 describes rxe1 "soft rxe1"
wait_for 10 journal_says 'line 3 of .*/site.conf: expected Format='
wait_for 10 journal_says 'line 5 of .*/site.conf: position 7'
rdma dev set foo name bar
wait_for 10 status_says "bar \"vm2 %$index\""
assert describes bar "vm2 %$index"

mark "nothing happens"
assert_eq "$(systemctl show -P MainPID rdma-ndd)" "$pid" "rdma-ndd ran through"
udevadm settle
sleep 1
before=$(switches)
sleep 5
assert_eq "$(switches)" "$before" "switches in 5 s"

mark "killed: started again, and it finds what changed meanwhile"
kill -KILL "$pid"
echo mine >/sys/class/infiniband/rxe1/node_desc
wait_for 20 describes rxe1 "soft rxe1"
wait_active 20 rdma-ndd.service

mark "the variable of rdma-core"
rm -r /etc/rdma/rdma-ndd.conf.d
mkdir -p /run/systemd/system/rdma-ndd.service.d
printf '[Service]\nEnvironment="RDMA_NDD_ND_FORMAT=%%%%h env %%%%d"\n' >/run/systemd/system/rdma-ndd.service.d/env.conf
systemctl daemon-reload
systemctl restart rdma-ndd
assert describes bar "vm2 env bar"

mark "devices that are gone at once, and the last one gone"
for _ in 1 2 3 4 5; do
    rxe_add brief 3
    link_del brief
done
assert_active rdma-ndd.service
link_del rxe1
link_del siw0
link_del bar
wait_inactive 20 rdma-ndd.service
assert_eq "$(systemctl show -P Result rdma-ndd)" success
assert_no_match "$(systemctl --failed --no-legend)" rdma
# Nothing of it keeps the kernel's modules in use.
assert modprobe -r rdma_rxe
assert_eq "$(journal -t rdma-ndd -p warning | grep -vc 'site.conf' || true)" 0 "warnings of rdma-ndd"
