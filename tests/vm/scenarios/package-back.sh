#!/bin/bash
# The way back: apt install rdma-core puts Debian's package in rdma-boot's place, keeps what an admin edited, and
# works; purging rdma-boot then leaves nothing of it and takes nothing of rdma-core's.
# images: debian12
# also: debian13
# variant: rdma-boot
# packages: ibacm srptools
# pool: yes
# timeout: 600
. /vmtest/lib/assert.sh

boot_finished
rxe_add rxe0
wait_active 90 rdma-hw.target
echo "# edited" >>/etc/rdma/modules/rdma.conf

pool_enable
# A new initrd, which takes minutes under emulation, is looked at by the initrd scenarios.
echo "update_initramfs=no" >>/etc/initramfs-tools/update-initramfs.conf
mark "installing rdma-core"
apt_install -o Dpkg::Options::=--force-confold install rdma-core
mark "installed"
for package in rdma-core ibacm srptools; do
    assert_eq "$(dpkg-query -W -f '${db:Status-Status}' "$package")" installed "state of $package"
done
assert_eq "$(dpkg-query -W -f '${db:Status-Status}' rdma-boot)" config-files "state of rdma-boot"
assert_eq "$(dpkg --audit)" "" "dpkg --audit"
assert grep -q "# edited" /etc/rdma/modules/rdma.conf
# Debian's own text again
assert grep -q xprtrdma /etc/rdma/modules/rdma.conf.dpkg-dist
assert test -s /etc/rdma/modules/roce.conf

mark "purging rdma-boot"
dpkg --purge rdma-boot
assert grep -q "# edited" /etc/rdma/modules/rdma.conf
assert test -s /etc/rdma/modules/infiniband.conf
# dpkg's own reckoning: nothing of rdma-core is missing, just the edited file differs
assert_eq "$(dpkg -V rdma-core | grep -v ' /usr/share/doc/\| /usr/share/man/')" "??5?????? c /etc/rdma/modules/rdma.conf" "dpkg -V rdma-core"
assert_eq "$(find /etc /usr /var/lib -xdev -name '*rdma-boot*' ! -path '/var/lib/dpkg/*')" "" "left of rdma-boot"
assert_eq "$(find /etc/systemd -name 'rdma-hw.path' -o -name 'rdma-coldplug.service' -o -name 'rdma-wait-online*')" "" "links of rdma-boot's units"

link_del rxe0
wait_inactive 60 rdma-hw.target
rxe_add rxe0
wait_active 90 rdma-hw.target
assert_match "$(systemctl show -P ExecStart rdma-load-modules@rdma.service)" "systemd-modules-load"
assert_active rdma-ndd.service
