#!/bin/bash
# Declared links: made before sysinit.target at every boot, made late, followed through renames and lost interfaces,
# removed with their files; what somebody made by hand is adopted or left alone; what cannot be made is said.
# images: debian12
# also: debian13
# timeout: 120
# boots: 2
# cmdline: systemd.wants=early-interface.service
. /vmtest/lib/assert.sh

links=/etc/rdma/links.d
rdma_link=/usr/lib/rdma-boot/rdma-link

# declare FILE NAME TYPE MATCH
declare_link() { printf '[Link]\nName=%s\nType=%s\n%s\n' "$2" "$3" "$4" >"$links/$1"; }
# states: "NAME STATE" of each link, one a line
states() {
    "$rdma_link" list --json | python3 -c 'import json, sys
for link in json.load(sys.stdin): print(link["link"], link["state"])'
}
is_on() { rdma link show "$1/1" | grep -q " netdev $2 "; }
# tells REGEX: rdma-link has said so in this boot
tells() { journalctl -b --no-pager -o cat -t rdma-link | grep -qE "$1"; }
# applied: every run that a change or an interface has started is through
applied() {
    udevadm settle
    [[ -z $(systemctl list-units --no-legend --state=activating 'rdma-link*') ]]
}

boot_finished
assert_active rdma-coldplug.service rdma-hw.target rdma-link.path
assert test -e /sys/class/infiniband/rxe_boot
wait_for 10 is_on rxe_boot v0a
assert_before rdma-load-modules@rdma.service sysinit.target
assert_before "$(systemd-escape -p --suffix=device "$(readlink -f /sys/class/infiniband/rxe_boot)")" sysinit.target
assert_eq "$(states)" "rxe_boot made"
wait_for 10 tells 'made rxe link rxe_boot on v0a \(10-boot.conf\)'
assert_eq "$(ls /sys/class/infiniband)" rxe_boot "what is not declared is not made"

if [[ $BOOT == 2 ]]; then
    mark "the last declaration goes"
    rm -r "$links"
    wait_no_device rxe_boot
    wait_for 10 applied
    assert_eq "$(systemctl show -P Result rdma-link.service)" success
    assert_eq "$(ls /run/rdma-boot/links)" "" "notes about links that are gone"
    exit 0
fi

mark "an interface comes late, then gets another name, then goes and comes back"
declare_link 20-late.conf rxe_late rxe MACAddress=52:54:00:10:00:01
# A name with a dash, which systemd writes differently in names of units.
late_up() { ip link add my-l0 address 52:54:00:10:00:01 type veth peer name my-l1; }
late_up
wait_device rxe_late
wait_for 10 is_on rxe_late my-l0
ip link set my-l0 name renamed0
wait_for 10 is_on rxe_late renamed0
wait_for 20 applied
assert is_on rxe_late renamed0
assert_eq "$(states)" "rxe_boot made
rxe_late made"
ip link delete renamed0
wait_no_device rxe_late
late_up
wait_for 20 is_on rxe_late my-l0
# At once: the kernel still has the old link, and takes its name for taken.
ip link delete my-l0
late_up
wait_for 20 applied
wait_for 20 is_on rxe_late my-l0

mark "the name that was declared is gone: the link stays with its interface"
ip link set v0a name v0z
wait_for 20 applied
assert systemctl start rdma-link.service
assert is_on rxe_boot v0z
ip link set v0z name v0a

mark "links that somebody makes by hand"
ip link add h0 type veth peer name h1
rdma link add byhand type rxe netdev h0
rdma link add taken type rxe netdev h1
declare_link 30-adopted.conf taken rxe NetDev=h1
wait_for 20 applied
assert_eq "$(states | grep taken)" "taken adopted"
declare_link 40-other.conf another rxe NetDev=h0
wait_for 20 tells 'another on h0 \(40-other.conf\) cannot be made: h0 has the rxe link byhand already'
rm "$links"/20-late.conf "$links"/30-adopted.conf "$links"/40-other.conf
wait_no_device rxe_late
wait_for 20 applied
wait_for 20 tells 'removed rxe link rxe_late: no file declares it any more'
assert is_on byhand h0
assert is_on taken h1
assert is_on rxe_boot v0a

mark "a declaration that cannot be read does not take its link away"
cp "$links/10-boot.conf" /root/10-boot.conf
sed -i s/rxe$/roce/ "$links/10-boot.conf"
wait_for 20 tells 'line 3 of /etc/rdma/links.d/10-boot.conf: expected Type=rxe or Type=siw'
wait_for 20 applied
assert is_on rxe_boot v0a
if "$rdma_link" check 2>/root/errors; then fail "a wrong declaration is not seen"; fi
assert_match "$(cat /root/errors)" 'line 3 of /etc/rdma/links.d/10-boot.conf'
cp /root/10-boot.conf "$links/10-boot.conf"
assert "$rdma_link" check

mark "a type that this kernel does not have, as with Debian's own kernels"
find "/usr/lib/modules/$(uname -r)" -name 'siw.ko*' -delete
declare_link 50-siw.conf siw0 siw NetDev=h0
wait_for 20 tells 'siw0 on h0 \(50-siw.conf\) cannot be made: .*module siw.*Debian.*CONFIG_RDMA_SIW'
wait_for 20 applied
assert_failed rdma-link.service
assert_eq "$(states | grep siw0)" "siw0 refused"
rm "$links/50-siw.conf"
wait_for 20 applied
assert systemctl start rdma-link.service
assert is_on rxe_boot v0a
