#!/bin/bash
# Devices get their names when they appear, by an admin's policy: units, properties, loaders and the umad alias have the
# new name and nobody ever hears of the old one; a rename later is followed too. A name that is taken or no name at all,
# and a device without a policy, leave the kernel's name.
# images: debian13
# also: debian12
# timeout: 180
. /vmtest/lib/assert.sh

property() { udevadm info --query=property --path="/sys/class/infiniband/$1" | sed -n "s/^$2=//p"; }
# device_unit RDMA_DEVICE: its unit; umad_unit: that of its first port's management node.
device_unit() { systemd-escape --path --suffix=device "/sys/subsystem/rdma/devices/$1"; }
umad_unit() { device_unit "$1:1/umad"; }
# told TEXT: rdma_rename has said so in the journal. (By its own name: of a process that has ended the journal may not
# know any more that it was one of udevd's.)
told() { journal -t rdma_rename | grep -q -- "$1"; }
names() { find /sys/class/infiniband -mindepth 1 -printf '%f\n' | sort | tr '\n' ' '; }
loader_state() {
    systemctl show -P InvocationID rdma-hw.target 'rdma-load-modules@rdma.service' | tr '\n' ' '
}

helper=$(find /usr/lib/udev /lib/udev -name rdma_rename | head -n 1)
# From 6.11 on the kernel says that a user named a device, which is so for each soft-RoCE link.
user_named=0
if [[ $(printf '%s\n' 6.11 "$(uname -r)" | sort -V | head -n 1) == 6.11 ]]; then user_named=1; fi

boot_finished
modprobe ib_umad

mark "a fixed name"
rxe_add rxe0 0
wait_device storage0
assert_not test -e /sys/class/infiniband/rxe0
wait_active 60 rdma-hw.target
udevadm settle
wait_active 20 "$(device_unit storage0)"
wait_active 20 "$(umad_unit storage0)"
wait_for 20 told "renamed rxe0 to storage0"
assert_not test -e /run/udev/data/+infiniband:rxe0
assert_eq "$(unit_time "$(device_unit rxe0)")" 0 "the old name's unit was active at"
assert_eq "$(property storage0 ID_RDMA_ROCE)" 1
assert_match "$(property storage0 SYSTEMD_WANTS)" 'rdma-load-modules@roce\.service'
assert_active rdma-load-modules@rdma.service
assert_eq "$(systemctl show -P ConditionResult rdma-load-modules@roce.service)" no "roce's empty list was looked at"
before=$(loader_state)

ip link add v2a type veth peer name v2b
if ((user_named)); then
    mark "devices that a user named: only a fixed name renames them"
    guid=rxe1
    rxe_add rxe1 1
    rxe_add rxe2 2
    udevadm settle
    assert_match "$("$helper" -v rxe1 NAME_GUID 2>&1)" 'rxe1 keeps its name: a user gave it its name'
else
    mark "the node GUID"
    rxe_add rxe1 1
    wait_no_device rxe1
    guid=$(find /sys/class/infiniband -name 'rocex*' -printf '%f\n')
    assert_match "$guid" '^rocex[0-9a-f]{16}$'
    assert_eq "$(tr -d : <"/sys/class/infiniband/$guid/node_guid")" "${guid#rocex}"
    mark "a second device with that GUID"
    ip link set v2a address "$(cat /sys/class/net/v1a/address)" up
    rxe_add rxe2 2
    wait_for 20 told "rename rxe2 to $guid: File exists (another device has that name)"
fi
for name in "$guid" rxe2; do
    wait_active 20 "$(device_unit "$name")"
    assert_eq "$(property "$name" ID_RDMA_ROCE)" 1 "ID_RDMA_ROCE of $name"
done

mark "a name that is taken, one that is none, no policy, and rdma-core's form of a rule"
rxe_add rxe3 3
rxe_add rxe4 4
rxe_add rxe5 5
rxe_add rxe6 6
wait_device rail5
udevadm settle
wait_for 20 told "rename rxe3 to storage0: File exists (another device has that name)"
wait_for 20 told "use the name a/b%d: Invalid argument"
assert_eq "$(names)" "rail5 $guid rxe2 rxe3 rxe4 rxe6 storage0 "
for name in rail5 rxe3 rxe4 rxe6; do
    wait_active 20 "$(device_unit "$name")"
    assert_eq "$(property "$name" ID_RDMA_ROCE)" 1 "ID_RDMA_ROCE of $name"
done
assert_eq "$(unit_time "$(device_unit rxe5)")" 0 "rxe5's unit was active at"

mark "the real system's look at devices that were renamed in an initrd"
udevadm trigger --action=add --subsystem-match=infiniband
udevadm settle
assert_eq "$(names)" "rail5 $guid rxe2 rxe3 rxe4 rxe6 storage0 "
assert_active "$(device_unit storage0)" "$(device_unit "$guid")"

mark "by hand: no facts, and one that was renamed meanwhile"
assert_eq "$("$helper" rxe6 NAME_FALLBACK)" "" "NAME_FALLBACK leaves a software device alone"
((user_named)) || assert_not "$helper" rxe6 NAME_PCI
assert_not "$helper" rxe0 NAME_FIXED other0
assert_eq "$("$helper" --dry-run rxe6 NAME_FIXED other0)" other0
assert_not setpriv --reuid=65534 --regid=65534 --clear-groups "$helper" rxe6 NAME_FIXED other0
assert_eq "$(names)" "rail5 $guid rxe2 rxe3 rxe4 rxe6 storage0 "

mark "a rename of a device that is in use"
index=$(rdma dev show storage0 | cut -d: -f1)
assert_eq "$("$helper" storage0 NAME_FIXED archive0)" archive0
assert_eq "$(rdma dev show archive0 | cut -d: -f1)" "$index" "index"
udevadm settle
for unit in "$(device_unit archive0)" "$(umad_unit archive0)"; do wait_active 20 "$unit"; done
for unit in "$(device_unit storage0)" "$(umad_unit storage0)"; do wait_inactive 20 "$unit"; done
assert_eq "$(property archive0 ID_RDMA_ROCE)" 1
assert_eq "$(loader_state)" "$before" "target and loaders, through all that"
if [[ -x /usr/sbin/rdma-ndd ]]; then
    wait_for 30 grep -q archive0 /sys/class/infiniband/archive0/node_desc
fi

for name in archive0 "$guid" rail5 rxe2 rxe3 rxe4 rxe6; do link_del "$name"; done
wait_inactive 30 rdma-hw.target
assert_eq "$(systemctl --failed --no-legend | wc -l)" 0 "failed units"
