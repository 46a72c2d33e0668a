#!/bin/bash
# The library on a running kernel: what netlink and verbs add to sysfs, without privilege, and the
# stream of changes through add, rename and removal.
# images: debian12
# variant: base
# timeout: 120
# payload: build/*/tests/library/show_devices
. /vmtest/lib/assert.sh

boot_finished
install -m 755 /vmtest/payload/show_devices /usr/local/bin/
needs=$(ldd /usr/local/bin/show_devices 2>&1)
[[ $needs != *"not found"* ]] || skip "built on a newer release than this guest: $needs"
as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

empty=$(show_devices snapshot)
assert_match "$empty" "consistent=1"
[[ $empty != *device* ]] || fail "a device without RDMA: $empty"

show_devices watch -1 udev >/tmp/udev.changes &
show_devices watch -1 kernel >/tmp/kernel.changes &
wait_for 5 grep -q watching /tmp/udev.changes
wait_for 5 grep -q watching /tmp/kernel.changes

link_add rxe0 rxe 0
wait_device rxe0 5
udevadm settle
modprobe ib_umad
udevadm settle

everything=$(show_devices snapshot)
echo "$everything"
assert_match "$everything" "device rxe0 index=[0-9]+ protocol=roce guid=[0-9a-f:]+ "
assert_match "$everything" "/dev/infiniband/umad0,/dev/infiniband/uverbs0,"
assert_match "$everything" "port rxe0:1 state=ACTIVE mtu=1024/4096 netdevs=[a-z0-9]+\([0-9]+\),"
assert_match "$everything" "gid rxe0:1 [0-9]+ 0000:0000:0000:0000:0000:ffff:0a09:0001 RoCE v2 [a-z]"
[[ $everything != *note* ]] || fail "something could not be read"
mark "everything was read"

# The GID table is the same whether verbs or sysfs tell it, and so is all for an ordinary user.
gids() { grep '^gid'; }
[[ $(gids <<<"$everything") == $(show_devices snapshot sysfs | gids) ]] ||
    fail "verbs and sysfs disagree: $(show_devices snapshot sysfs)"
[[ $everything == $(as_nobody show_devices snapshot) ]] ||
    fail "another picture without privilege: $(as_nobody show_devices snapshot)"
assert_match "$(show_devices snapshot sysfs)" "device rxe0 index=- protocol=roce"
assert_match "$(show_devices snapshot netlink)" "device rxe0 index=[0-9]+ protocol=roce"

# Where the node cannot be opened the rest is there all the same.
chmod 600 /dev/infiniband/uverbs0
locked=$(as_nobody show_devices snapshot)
assert_match "$locked" "note open verbs device rxe0: Permission denied"
assert_match "$locked" "mtu=-/-"
[[ $(gids <<<"$everything") == $(gids <<<"$locked") ]] || fail "no GIDs from sysfs: $locked"

# A rename keeps the index.
index=$(grep -o 'index=[0-9]*' <<<"$everything")
rdma dev set rxe0 name other0
udevadm settle
assert_match "$(show_devices snapshot)" "device other0 $index "
link_del other0
wait_no_device other0 5
mark "device renamed and removed"
for changes in /tmp/udev.changes /tmp/kernel.changes; do
    wait_for 10 grep -q "infiniband other0 removed" "$changes"
    echo "$changes:"
    cat "$changes"
    assert_match "$(cat $changes)" "infiniband rxe0 added"
    assert_match "$(cat $changes)" "infiniband_verbs uverbs0 added"
    assert_match "$(cat $changes)" "infiniband other0 moved /sys/devices/.*/rxe0"
done
kill %1 %2

# Who sleeps while more comes than fits is told so, and is served on.
show_devices watch -1 kernel 4096 >/tmp/overrun.changes &
watcher=$!
wait_for 5 grep -q watching /tmp/overrun.changes
kill -STOP "$watcher"
for ((i = 0; i < 200; ++i)); do
    echo change >/sys/class/net/lo/uevent
done
kill -CONT "$watcher"
wait_for 10 grep -q overrun /tmp/overrun.changes
before=$(wc -l </tmp/overrun.changes)
more() { (($(wc -l </tmp/overrun.changes) > before)); }
echo change >/sys/class/net/lo/uevent
wait_for 10 more
mark "overrun was told"
kill "$watcher"
