#!/bin/bash
# What udev.md promises to services that cannot handle hot-plug: ordered after systemd-udev-settle.service they find RDMA
# ready; and an RDMA driver in /etc/modules-load.d is in the kernel before.
# images: debian12
# timeout: 120
# cmdline: systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh

boot_finished
assert loaded rdma_rxe
assert_active legacy.service
assert_before systemd-modules-load.service rxe-early.service
assert_before rdma-load-modules@rdma.service sysinit.target
assert_before systemd-udev-settle.service legacy.service
