#!/bin/bash
# Node descriptions follow devices and host names: set by udev itself for a new device and at a rename, by rdma-ndd at a
# new host name and wherever udev cannot know; formats from drop-ins; what is wrong in them is told and the rest applies.
# All of it in the unit's sandbox, and without a wake-up while nothing happens.
# images: debian13
# also: debian12
# timeout: 180
. /vmtest/lib/assert.sh

describes() { [[ $(<"/sys/class/infiniband/$1/node_desc") == "$2" ]]; }
status_says() { [[ $(systemctl show -P StatusText rdma-ndd) == *"$1"* ]]; }
journal_says() { [[ $(journal -t rdma-ndd) =~ $1 ]]; }
# All switches of rdma-ndd to another process, voluntary or not.
switches() { awk '/ctxt_switches/ { sum += $2 } END { print sum }' "/proc/$(systemctl show -P MainPID rdma-ndd)/status"; }

# Who writes descriptions, as the kernel sees it: one line "SECONDS PROGRAM" for each time since the last forget.
trace=/sys/kernel/tracing
watch_writes() {
    modprobe ib_core
    echo 'p:described node_desc_store' >$trace/kprobe_events
    echo 1 >$trace/events/kprobes/described/enable
}
writes() { sed -En 's/^ *(.+)-[0-9]+ +\[[0-9]+\] [^ ]+ +([0-9.]+): described:.*/\2 \1/p' $trace/trace; }
writers() { writes | cut -d ' ' -f 2 | xargs; }
forget() { : >$trace/trace; }

boot_finished
watch_writes
hostname vm1.example.org
assert_inactive rdma-ndd.service

mark "the first device: described by udev, before rdma-ndd is ready, and that before rdma-hw.target"
rxe_add rxe0 0
wait_active 40 rdma-hw.target
assert describes rxe0 "vm1 rxe0"
assert_active rdma-ndd.service
assert_before rdma-ndd.service rdma-hw.target
# rdma-hw.path starts the daemon as soon as there is a device node, so it may have looked before udev wrote.
assert_match "$(writers)" '^(\(udev-worker\)( rdma-ndd)?|rdma-ndd \(udev-worker\))$' "who described rxe0"
pid=$(systemctl show -P MainPID rdma-ndd)
assert status_says '1 of 1 device described: rxe0 "vm1 rxe0"'

mark "a second one, and one that cannot have a description"
forget
# udev does not need the daemon for it, and knows the name that the host has now, not when udevd started.
kill -STOP "$pid"
rxe_add rxe1 1
udevadm settle
assert describes rxe1 "vm1 rxe1"
kill -CONT "$pid"
wait_for 10 status_says 'rxe1 "vm1 rxe1"'
assert_eq "$(writers)" "(udev-worker)" "who described rxe1"
siw_add siw0 2
udevadm settle
assert_ne "$(<"/sys/class/infiniband/siw0/node_desc")" "vm1 siw0"
wait_for 10 status_says '1 cannot be'
# udev tried it too, and says nothing about it.
assert_no_match "$(journal -p warning)" node_desc

mark "renamed"
forget
rdma dev set rxe0 name foo
wait_for 10 status_says 'foo "vm1 foo"'
assert describes foo "vm1 foo"
assert_eq "$(writers)" "(udev-worker)" "who described foo"

mark "a new host name, as DHCP would bring it, reaches every description within 300 ms of an emulated machine"
udevadm settle
sleep 1
reaction=0
for name in vm3 vm4 vm2; do
    forget
    echo asked >$trace/trace_marker
    echo $name >/proc/sys/kernel/hostname
    wait_for 10 describes foo "$name foo"
    wait_for 10 describes rxe1 "$name rxe1"
    assert_eq "$(writers)" "rdma-ndd rdma-ndd"
    asked=$(sed -En 's/.* ([0-9.]+): tracing_mark_write: asked/\1/p' $trace/trace)
    took=$(writes | awk -v asked="$asked" '{ last = $1 } END { printf "%d", (last - asked) * 1000 }')
    mark "both descriptions $took ms after the host name $name"
    if ((took > reaction)); then reaction=$took; fi
done
((reaction <= 300)) || fail "a host name took $reaction ms"

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
# udev cannot know what a drop-in says, so a new device is the daemon's: described once.
forget
rxe_add rxe2 4
wait_for 10 status_says 'rxe2 "vm2 env rxe2"'
assert describes rxe2 "vm2 env rxe2"
assert_eq "$(writers)" rdma-ndd "who described rxe2"
link_del rxe2

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

mark "a masked service: nobody sets a description"
rm -r /run/systemd/system/rdma-ndd.service.d
systemctl mask --runtime rdma-ndd.service
forget
rxe_add rxe5 5
wait_active 20 rdma-hw.target
udevadm settle
assert_eq "$(writers)" "" "who described rxe5"
assert_ne "$(<"/sys/class/infiniband/rxe5/node_desc")" "vm2 rxe5"
systemctl unmask --runtime rdma-ndd.service
link_del rxe5
echo 0 >$trace/events/kprobes/described/enable
: >$trace/kprobe_events

# Nothing of it keeps the kernel's modules in use.
assert modprobe -r rdma_rxe
assert_eq "$(journal -t rdma-ndd -p warning | grep -vc 'site.conf' || true)" 0 "warnings of rdma-ndd"
