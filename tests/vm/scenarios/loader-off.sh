#!/bin/bash
# rdma_boot.load=0 on the kernel command line: a device comes, the target becomes active, but the loader loads nothing and
# says so.
# images: debian12
# timeout: 90
# cmdline: rdma_boot.load=0
. /vmtest/lib/assert.sh

boot_finished
rxe_add rxe0
wait_active 30 rdma-hw.target
assert_active rdma-load-modules@rdma.service
assert_not loaded rdma_ucm
assert_match "$(journal -u rdma-load-modules@rdma.service)" 'rdma_boot.load=0 on the kernel command line: nothing is loaded'
