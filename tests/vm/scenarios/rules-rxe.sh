#!/bin/bash
# udev knows what a device is whatever it is called: soft-RoCE of any name, soft-iWARP, after a rename, after "change";
# the units that systemd makes of devices and nodes are there; and devices that are gone at once fail nothing.
# images: debian12
# also: debian13
# timeout: 240
. /vmtest/lib/assert.sh

# property DEVICE KEY: as udev keeps it for /sys/class/infiniband/DEVICE.
property() { udevadm info --query=property --path="/sys/class/infiniband/$1" | sed -n "s/^$2=//p"; }
# unit_of PATH: the device unit of a path.
unit_of() { systemd-escape --path --suffix=device "$1"; }
# loader_state: everything that would change if a loader or the target were started again.
loader_state() {
    systemctl show -P InvocationID rdma-hw.target 'rdma-load-modules@rdma.service' \
        'rdma-load-modules@infiniband.service' 'rdma-load-modules@iwarp.service' | tr '\n' ' '
}

boot_finished
# Beyond its scope udevd says more only on demand.
udevadm control --log-level=info

mark "soft-RoCE that is not called rxe"
rxe_add foo0 0
udevadm settle
assert_eq "$(property foo0 ID_RDMA_ROCE)" 1
assert_eq "$(property foo0 ID_RDMA_PROTOCOL)" roce
assert_eq "$(property foo0 ID_MODEL)" Soft-RoCE
assert_eq "$(property foo0 ID_RDMA_INFINIBAND)" ""
assert_match "$(property foo0 SYSTEMD_WANTS)" 'rdma-load-modules@roce\.service'
wait_active 40 rdma-hw.target
assert_active "$(unit_of /sys/subsystem/rdma/devices/foo0)"
assert_match "$(systemctl show -P Description "$(unit_of /sys/subsystem/rdma/devices/foo0)")" 'Soft-RoCE'
assert_active dev-infiniband-uverbs0.device
wait_active 20 dev-infiniband-rdma_cm.device

mark "renamed"
before=$(loader_state)
rdma dev set foo0 name bar0
wait_device bar0
udevadm settle
assert_eq "$(property bar0 ID_RDMA_ROCE)" 1 "ID_RDMA_ROCE after a rename"
assert_eq "$(property bar0 ID_RDMA_PROTOCOL)" roce
wait_active 10 "$(unit_of /sys/subsystem/rdma/devices/bar0)"
wait_inactive 10 "$(unit_of /sys/subsystem/rdma/devices/foo0)"
assert_active rdma-hw.target
assert_eq "$(loader_state)" "$before" "target and loaders after a rename"

mark "change"
udevadm trigger --action=change --subsystem-match=infiniband --subsystem-match=infiniband_mad \
    --subsystem-match=infiniband_verbs --subsystem-match=net
udevadm settle
assert_eq "$(property bar0 ID_RDMA_ROCE)" 1 "ID_RDMA_ROCE after change"
assert_eq "$(loader_state)" "$before" "target and loaders after change"

mark "soft-iWARP"
siw_add iw0 1
udevadm settle
assert_eq "$(property iw0 ID_RDMA_IWARP)" 1
assert_eq "$(property iw0 ID_RDMA_PROTOCOL)" iwarp
assert_eq "$(property iw0 ID_MODEL)" Soft-iWARP
assert_eq "$(property iw0 ID_RDMA_ROCE)$(property iw0 ID_RDMA_INFINIBAND)" ""
assert_match "$(property iw0 SYSTEMD_WANTS)" 'rdma-load-modules@iwarp\.service'

mark "a service bound to umad0"
umad=$(unit_of /sys/subsystem/rdma/devices/bar0:1/umad)
assert_inactive dev-infiniband-umad0.device
cat >/run/systemd/system/umad-user.service <<'EOF'
[Unit]
After=rdma-hw.target
After=dev-infiniband-umad0.device
BindsTo=dev-infiniband-umad0.device
[Service]
ExecStart=/usr/bin/sleep infinity
EOF
systemctl daemon-reload
systemctl start --no-block umad-user.service
modprobe ib_umad
wait_active 20 dev-infiniband-umad0.device
wait_active 20 "$umad"
wait_active 20 umad-user.service
modprobe -r ib_umad
wait_inactive 20 umad-user.service
wait_inactive 20 "$umad"

mark "an adapter whose RDMA half is a module of its own"
assert_not loaded mlx4_ib
mkdir -p /run/udev/rules.d
echo 'SUBSYSTEM=="net", KERNEL=="fake0", ENV{ID_NET_DRIVER}="mlx4_en"' >/run/udev/rules.d/85-fake.rules
udevadm control --reload
ip link add fake0 type dummy
wait_for 30 loaded mlx4_ib

mark "helper for a device that is not there"
assert_not /lib/udev/rdma_id nosuch0
assert_eq "$(/lib/udev/rdma_id nosuch0 2>/dev/null || true)" ""
assert_match "$(/lib/udev/rdma_id bar0)" 'ID_RDMA_ROCE=1'

mark "20 devices that are gone before anybody looks"
for _ in $(seq 20); do
    rdma link add brief0 type rxe netdev v2a 2>/dev/null || {
        ip link add v2a type veth peer name v2b
        rdma link add brief0 type rxe netdev v2a
    }
    rdma link delete brief0
done
udevadm settle
assert_not test -e /sys/class/infiniband/brief0
assert_active rdma-hw.target
udevd=$(journal -u systemd-udevd)
assert_no_match "$udevd" '[Ww]orker.*(failed|timeout|killed|terminated)'
assert_no_match "$udevd" 'rdma_id.*(timed out|Killing|signal)'
assert_eq "$(systemctl --failed --no-legend | wc -l)" 0 "failed units"

mark "how long a worker waits for rdma_id"
time (for _ in $(seq 20); do /lib/udev/rdma_id bar0 >/dev/null; done)

mark "unplugged"
link_del bar0
link_del iw0
wait_inactive 20 rdma-hw.target
