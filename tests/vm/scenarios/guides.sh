#!/bin/bash
# The commands of the guides do what the guides say, as they stand there (lint.documented_commands compares).
# images: debian12
# also: debian13
# timeout: 180
. /vmtest/lib/assert.sh

# Between the two a command may fail.
loose() {
    trap - ERR
    set +e
}
strict() {
    set -e
    trap vmtest_error ERR
}

boot_finished
cd /root

mark "porting: a device, and what there is to see"
modprobe rdma_rxe
ip link add v0 type veth peer name v1
ip link set v1 up
ip link set v0 up
ip address add 10.9.0.1/24 dev v0
ip address add 10.9.0.9/24 dev v0
rdma link add rxe0 type rxe netdev v0
wait_active 30 rdma-hw.target
udevadm settle
systemctl is-active rdma-hw.target
rdmactl status
rdmactl analyze critical-chain
rdmactl analyze plot >boot.svg
grep -q '<svg' boot.svg

mark "why is my port not ready"
rdmactl status rxe0
# Exit status 2: something is found, of which a guest has enough.
loose
rdmactl doctor
found=$?
strict
assert_eq "$found" 2
rdmactl link list
rdmactl modules
journalctl -b -t rdma-load-modules
journalctl -b -k -g 'mlx|bnxt|irdma|hfi|rxe|siw'
rdmactl analyze blame
rdmactl doctor --snapshot host.tgz
loose
rdmactl doctor --from host.tgz
found=$?
strict
assert_eq "$found" 2

mark "prove a path"
# Both ends are this host: what the route to another one would do.
ip route replace local 10.9.0.1 dev v0 table local src 10.9.0.9
mkdir -p /etc/rdma
printf '[Responder]\nAddress=10.9.0.1\nAllow=10.9.0.0/16\n' >/etc/rdma/responder.conf
systemctl enable --now rdma-responder.service
serving() { [[ $(systemctl show -P StatusText rdma-responder.service) == *10.9.0.1@o2ib* ]]; }
wait_for 20 serving
systemctl status rdma-responder.service
rdmactl ping 10.9.0.1
rdmactl bench 10.9.0.1
rdmactl peers
rdmactl ping --count 1 --timeout 2 --json 10.9.0.1
rdma-wait-online --timeout=10 --peer=10.9.0.1

mark "from systemd-modules-load"
loose
grep -r -E 'ib_|rdma|mlx|rpcrdma|xprtrdma|iser|isert|srp' /etc/modules-load.d /etc/modules
strict
mkdir -p /etc/rdma/modules/rdma.conf.d
echo nvme_rdma >/etc/rdma/modules/rdma.conf.d/site.conf
assert_match "$(rdmactl modules)" "nvme_rdma +load .*site.conf"
systemctl restart rdma-load-modules@rdma.service
assert loaded nvme_rdma
assert_match "$(rdmactl modules)" "nvme_rdma +already-live +loaded in"

mark "order your service"
printf '[Unit]\nRequires=rdma-hw.target\nAfter=rdma-hw.target\n[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=rdma-hw.target\n' \
    >/etc/systemd/system/myservice.service
systemctl daemon-reload
systemctl enable myservice.service
systemctl start myservice.service
systemctl status rdma-hw.target
systemctl list-dependencies --after myservice.service
systemd-analyze critical-chain myservice.service
journalctl -b -u 'rdma-load-modules@*' -u rdma-coldplug.service
systemd-escape --path --suffix=device /sys/subsystem/rdma/devices/mlx5_0:1/umad

mark "replace rdma-core"
ls /sys/class/infiniband
systemctl status rdma-hw.path rdma-hw.target
udevadm info /sys/class/infiniband/* | grep ID_RDMA
/usr/lib/rdma-boot/rdma-load-modules --dry-run
systemd-analyze critical-chain rdma-hw.target

mark "soft links, and waiting for ports"
mkdir -p /etc/rdma/links.d
printf '[Link]\nName=rxe_storage\nType=rxe\nNetDev=v1\n' >/etc/rdma/links.d/10-storage.conf
/usr/lib/rdma-boot/rdma-link check
wait_device rxe_storage
/usr/lib/rdma-boot/rdma-link list
# It was not started: status 3.
loose
systemctl status rdma-wait-online.service
strict
rdma-wait-online --timeout=1
