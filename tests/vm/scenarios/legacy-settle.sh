#!/bin/bash
# What udev.md promises to services that cannot handle hot-plug: ordered after systemd-udev-settle.service they find RDMA
# ready, here for a device that comes late, out of udev's own work at boot; and an RDMA driver in /etc/modules-load.d is
# loaded by that.
# images: debian12
# also: debian13
# timeout: 120
. /vmtest/lib/assert.sh

boot_finished
assert test -e /sys/class/infiniband/rxe0
# Its own command is that /dev/infiniband/rdma_cm exists.
assert_active legacy.service
assert_before systemd-udev-settle.service legacy.service
assert_before rdma-load-modules@rdma.service sysinit.target
# The device came later than whoever does not settle would have waited.
assert test "$(unit_time systemd-udev-settle.service)" -gt "$(($(unit_time systemd-udev-trigger.service) + 3000000))"
# By identifier: of a process that ended quickly journald may not have learned the unit any more.
assert_match "$(journal -t systemd-modules-load)" "rdma_rxe"
