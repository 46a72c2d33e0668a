#!/bin/bash
# Declared links: made before sysinit.target at every boot, made late, followed through renames and lost interfaces,
# removed with their files, also files that change at the last moment; what somebody made by hand is adopted or left
# alone; what cannot be made is said, and the boot does not wait for it.
# images: debian12
# also: debian13
# timeout: 300
# nic: yes
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
[[ $BOOT == 2 ]] || assert_eq "$(states)" "rxe_boot made"
wait_for 10 tells 'made rxe link rxe_boot on v0a \(10-boot.conf\)'
assert_eq "$(ls /sys/class/infiniband)" rxe_boot "what is not declared is not made"

if [[ $BOOT == 2 ]]; then
    mark "a declared link that cannot be made does not hold the boot"
    assert_eq "$(states)" "rxe_boot made
rxe_clash refused"
    assert_match "$(cat /run/rdma-boot/refused-links/rxe_clash)" 'v0a has (the rxe link rxe_boot|another rxe link already)'
    assert_eq "$(systemctl show -P Result rdma-coldplug.service)" success
    assert_no_match "$(journal -t rdma-coldplug)" 'gave up'

    mark "the last declaration goes"
    rm -r "$links"
    wait_no_device rxe_boot
    wait_for 10 applied
    assert_eq "$(systemctl show -P Result rdma-link.service)" success
    assert_eq "$(find /run/rdma-boot/links /run/rdma-boot/refused-links -type f ! -name '.*')" "" "notes about links"
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

mark "by the card's path, and by the address that the card has, not the one that somebody gave it; one link of each type"
card=$(grep -lx 52:54:00:77:00:0c /sys/class/net/*/address | cut -d / -f 5)
path=$(udevadm info --query=property "/sys/class/net/$card" | sed -n 's/^ID_PATH=//p')
assert_match "$path" '^pci-0000:'
ip link set "$card" address 02:00:00:00:00:01
declare_link 60-path.conf rxe_path rxe "Path=${path%?}*"
declare_link 61-address.conf siw_card siw MACAddress=52:54:00:77:00:0c
wait_device rxe_path
wait_device siw_card
wait_for 20 applied
assert is_on rxe_path "$card"
assert is_on siw_card "$card"
rm "$links"/60-path.conf "$links"/61-address.conf
wait_no_device siw_card
wait_no_device rxe_path

mark "the kernel keeps the name of a link that is going: tried again; and what is declared meanwhile is seen"
wait_for 20 applied
mkdir -p /run/systemd/system/rdma-link.service.d
printf '[Service]\nEnvironment=RDMA_BOOT_DEBUG=1\n' >/run/systemd/system/rdma-link.service.d/debug.conf
systemctl daemon-reload
ip link add k0 type veth peer name k1
declare_link 70-kept.conf siw_kept siw NetDev=k0
wait_device siw_kept
wait_for 20 applied
node=$(grep -lx siw_kept /sys/class/infiniband_verbs/*/ibdev | cut -d / -f 5)
# The kernel waits for whoever has a soft-iWARP device open, and does not list it any more. So does who deletes
# the interface.
exec 9<>"/dev/infiniband/$node"
ip link delete k0 9>&- &
unlisted() { ! rdma dev show siw_kept; }
wait_for 20 unlisted
sed -i s/k0$/k2/ "$links/70-kept.conf"
wait_for 20 applied
ip link add k2 type veth peer name k3
# The interface has a run of its own; the path unit starts the one for all.
touch "$links/70-kept.conf"
wait_for 20 tells 'make siw link siw_kept on k2: Too many open files'
declare_link 71-meanwhile.conf rxe_meanwhile rxe NetDev=k3
exec 9>&-
wait_device siw_kept
wait_device rxe_meanwhile
assert is_on siw_kept k2
wait_for 20 applied

mark "a declaration that comes after the last look and before systemd watches again"
printf '[Service]\nExecStartPost=+/bin/sh -c "mv /root/moment.conf %s/72-moment.conf || true"\n' "$links" \
    >/run/systemd/system/rdma-link.service.d/moment.conf
systemctl daemon-reload
printf '[Link]\nName=rxe_moment\nType=rxe\nNetDev=k2\n' >/root/moment.conf
rm "$links/71-meanwhile.conf"
wait_no_device rxe_meanwhile
wait_device rxe_moment
wait_for 20 applied
assert_not test -e /root/moment.conf
rm -r /run/systemd/system/rdma-link.service.d "$links"/7?-*.conf
systemctl daemon-reload
wait_no_device rxe_moment
wait_no_device siw_kept

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
modprobe -r siw
find "/usr/lib/modules/$(uname -r)" -name 'siw.ko*' -delete
declare_link 50-siw.conf siw0 siw NetDev=h0
wait_for 20 tells 'siw0 on h0 \(50-siw.conf\) cannot be made: .*module siw.*Debian.*CONFIG_RDMA_SIW'
wait_for 20 applied
assert_failed rdma-link.service
assert_eq "$(states | grep siw0)" "siw0 refused"
assert_match "$(cat /run/rdma-boot/refused-links/siw0)" 'no soft-iWARP'
rm "$links/50-siw.conf"
wait_for 20 applied
assert_not test -e /run/rdma-boot/refused-links/siw0
assert systemctl start rdma-link.service
assert is_on rxe_boot v0a

# For the next boot.
declare_link 80-clash.conf rxe_clash rxe NetDev=v0a
wait_for 20 applied
assert_eq "$(states | grep clash)" "rxe_clash refused"
