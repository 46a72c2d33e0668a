#!/bin/bash
# rdma-boot takes rdma-core's place on a running host with ibacm, srptools, infiniband-diags and perftest: all stay
# configured, an admin's edited files are kept, RDMA goes on working, and purging rdma-core takes nothing away.
# images: debian13
# also: debian12
# variant: rdma-core
# packages: ibacm srptools infiniband-diags
# debs: yes
# pool: yes
# timeout: 600
. /vmtest/lib/assert.sh

configured() {
    local package
    for package; do
        assert_eq "$(dpkg-query -W -f '${db:Status-Status}' "$package")" installed "state of $package"
    done
    assert_eq "$(dpkg --audit)" "" "dpkg --audit"
    assert apt-get -q check
}

boot_finished
neighbours=(ibacm srptools infiniband-diags perftest)
configured rdma-core "${neighbours[@]}"
rxe_add rxe0
wait_active 90 rdma-hw.target

echo "# edited" >>/etc/rdma/modules/rdma.conf
echo "# edited" >>/etc/modprobe.d/mlx4.conf

mark "installing rdma-boot"
pool_enable
# A new initrd, which takes minutes under emulation, is looked at by the initrd scenarios.
echo "update_initramfs=no" >>/etc/initramfs-tools/update-initramfs.conf
apt_install -o Dpkg::Options::=--force-confold install /vmtest/debs/rdma-boot_*.deb
mark "installed"
configured rdma-boot "${neighbours[@]}"
assert_eq "$(dpkg-query -W -f '${db:Status-Status}' rdma-core)" config-files "state of rdma-core"
assert grep -q "# edited" /etc/rdma/modules/rdma.conf
assert grep -q "# edited" /etc/modprobe.d/mlx4.conf
# Files that nobody had edited are ours now: dpkg knows rdma-core's version of them.
assert cmp <(dpkg-deb --fsys-tarfile /vmtest/debs/rdma-boot_*.deb | tar -xO ./etc/rdma/modules/opa.conf) /etc/rdma/modules/opa.conf
assert test ! -s /etc/rdma/modules/roce.conf

# The device that was there all along is served by us, without a reboot.
assert systemctl -q is-enabled rdma-hw.path rdma-coldplug.service rdma-wait-online.service
assert_active rdma-hw.path
wait_active 90 rdma-hw.target
udevadm settle
assert_match "$(udevadm info -q property -p /sys/class/infiniband/rxe0)" "ID_RDMA_ROCE=1"
# So is its description, by our daemon and not by one of rdma-core that was left behind.
wait_active 30 rdma-ndd.service
assert_match "$(systemctl show -P StatusText rdma-ndd.service)" 'described: rxe0'

mark "purging rdma-core"
dpkg --purge rdma-core
configured rdma-boot "${neighbours[@]}"
for list in rdma infiniband opa roce iwarp iwpmd; do
    assert test -e "/etc/rdma/modules/$list.conf"
done
assert grep -q "# edited" /etc/rdma/modules/rdma.conf
assert grep -q "# edited" /etc/modprobe.d/mlx4.conf
assert test -e /etc/modprobe.d/truescale.conf

# srptools' own list and unit work unchanged. (Nobody needs the unit afterwards, so it stops; the modules stay.)
assert_match "$(cat /etc/rdma/modules/srp_daemon.conf)" ib_srp
systemctl start rdma-load-modules@srp_daemon.service
assert_eq "$(systemctl show -P Result rdma-load-modules@srp_daemon.service)" success
assert loaded ib_srp
modprobe ib_umad
# The name of a umad device that srp_daemon_port@ is bound to, and a service bound to it that requires the loader, in
# the words of that unit: it runs while the device is there.
umad=$(systemd-escape --path --suffix=device /sys/subsystem/rdma/devices/rxe0:1/umad)
wait_active 60 "$umad"
cat >/run/systemd/system/like-srp.service <<UNIT
[Unit]
DefaultDependencies=false
Requires=rdma-load-modules@srp_daemon.service
After=rdma-load-modules@srp_daemon.service rdma-hw.target $umad
BindsTo=$umad
[Service]
ExecStart=/bin/sleep infinity
UNIT
systemctl daemon-reload
systemctl start like-srp.service
assert_active like-srp.service rdma-load-modules@srp_daemon.service

# Unplugged and plugged in again: our chain, from the beginning.
link_del rxe0
wait_inactive 60 rdma-hw.target
wait_inactive 60 like-srp.service
rxe_add rxe0
wait_active 60 rdma-hw.target
assert loaded rdma_ucm
assert_match "$(systemctl show -P ExecStart rdma-load-modules@rdma.service)" "/usr/lib/rdma-boot/rdma-load-modules"
assert_eq "$(systemctl show -P Result rdma-load-modules@rdma.service)" success
