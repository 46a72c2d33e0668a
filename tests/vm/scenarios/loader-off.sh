#!/bin/bash
# rdma_boot.load=0 on the kernel command line: a device comes, in the boot already, the target becomes active, but nothing is
# loaded, neither by the loader, which says so, nor by udev, and nobody waits.
# also: debian12
# timeout: 90
# cmdline: rdma_boot.load=0 systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh

boot_finished
wait_active 30 rdma-hw.target
assert_eq "$(systemctl show -P ConditionResult rdma-coldplug.service)" no
assert_active rdma-load-modules@rdma.service
assert_not loaded rdma_ucm
assert_match "$(journal -t rdma-load-modules)" 'rdma_boot.load=0 on the kernel command line: nothing is loaded'
