#!/bin/bash
# A device that exists before sysinit.target is reached: its loaders, also that of its protocol, end before
# sysinit.target, at every boot, and nobody waited for all of udev. (20 boots: tests/bench/run chain.)
# images: debian12
# also: debian13
# timeout: 120
# boots: 2
# cmdline: systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh

boot_finished
assert_active rdma-hw.target sysinit.target
assert_before rxe-early.service sysinit.target
assert_before rdma-load-modules@rdma.service sysinit.target
assert_before rdma-load-modules@roce.service sysinit.target
assert_before rdma-load-modules@rdma.service rdma-hw.target
assert_before rdma-load-modules@roce.service rdma-hw.target
assert loaded rdma_ucm
assert loaded 9pnet_rdma
assert test -c /dev/infiniband/rdma_cm
# From the second boot on the times of the one before are known, although the loader runs early.
((BOOT == 1)) || assert grep -q '^rpcrdma [1-9]' /var/lib/rdma-boot/module-times
assert_eq "$(unit_time systemd-udev-settle.service)" 0 "systemd-udev-settle.service was started at"
