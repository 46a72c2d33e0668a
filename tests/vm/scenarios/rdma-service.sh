#!/bin/bash
# rdma.service: what older software orders on. Starting it loads the list, also before there is any device.
# images: debian12
# timeout: 90
. /vmtest/lib/assert.sh

boot_finished
assert_inactive rdma.service rdma-hw.target
systemctl start oldlustre.service
assert_active rdma.service rdma-hw.target rdma-load-modules@rdma.service
assert loaded rdma_ucm
assert_before rdma-load-modules@rdma.service rdma.service
systemctl stop oldlustre.service rdma.service
wait_inactive 10 rdma-hw.target
