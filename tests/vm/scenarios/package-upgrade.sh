#!/bin/bash
# Installing the package over itself with a device in use: no module is loaded, not even one that the admin unloaded,
# nothing is started or stopped, and the device stays served.
# images: debian12
# also: debian13
# variant: rdma-boot
# debs: yes
# timeout: 400
. /vmtest/lib/assert.sh

modules() { lsmod | awk 'NR > 1 { print $1 }' | sort; }
# A unit's run: a new one would have another identity.
runs() {
    local unit
    for unit in rdma-hw.target rdma-hw.path rdma-coldplug.service rdma-devices.target rdma-load-modules@rdma.service \
        rdma-load-modules@roce.service network-pre.target; do
        echo "$unit $(systemctl show -P ActiveState "$unit") $(systemctl show -P InvocationID "$unit")" \
            "$(systemctl show -P ActiveEnterTimestampMonotonic "$unit")"
    done
}

boot_finished
rxe_add rxe0
wait_active 90 rdma-hw.target
echo "update_initramfs=no" >>/etc/initramfs-tools/update-initramfs.conf
modprobe -r ib_iser
modprobe -r rpcrdma
udevadm settle
modules >/var/tmp/modules
runs >/var/tmp/runs
cat /var/tmp/runs
mounted=$(journalctl -b --no-pager -o cat _PID=1 -n 1 --show-cursor | sed -n 's/^-- cursor: //p')

mark "installing the same package again"
dpkg -i /vmtest/debs/rdma-boot_*.deb
mark "installed"
udevadm settle
# What udev or systemd would have started by now has a job.
# shellcheck disable=SC2016 # for the inner shell
wait_for 60 sh -c '[ -z "$(systemctl list-jobs --no-legend)" ]'

assert_eq "$(dpkg-query -W -f '${db:Status-Status}' rdma-boot)" installed
assert_eq "$(modules)" "$(cat /var/tmp/modules)" "modules"
assert_eq "$(runs)" "$(cat /var/tmp/runs)" "units"
assert_eq "$(journalctl -b --no-pager -o cat --after-cursor="$mounted" -t rdma-load-modules -t rdma-coldplug)" "" "what our programs said"

# The same without any device
link_del rxe0
wait_inactive 60 rdma-hw.target
udevadm settle
modules >/var/tmp/modules
dpkg -i /vmtest/debs/rdma-boot_*.deb
udevadm settle
assert_eq "$(modules)" "$(cat /var/tmp/modules)" "modules without a device"
assert_inactive rdma-hw.target
assert_active rdma-hw.path

# and it still works
rxe_add rxe0
wait_active 90 rdma-hw.target
assert loaded ib_iser
assert loaded rpcrdma
