#!/bin/bash
# The two patterns that udev.md gives to admins: WantedBy=rdma-hw.target, for any device and bound to a umad device.
# images: debian12
# also: debian13
# timeout: 120
. /vmtest/lib/assert.sh

boot_finished
systemctl enable example-any.service example-umad0.service
assert_inactive example-any.service example-umad0.service
rxe_add rxe0
wait_active 30 example-any.service
wait_active 30 example-umad0.service
assert_active dev-infiniband-umad0.device dev-infiniband-uverbs0.device
assert_before rdma-hw.target example-any.service
# A second device: the first may go, nothing stops.
rxe_add rxe1 1
udevadm settle
link_del rxe0
udevadm settle
sleep 1
assert_active rdma-hw.target example-any.service
link_del rxe1
wait_inactive 10 example-any.service
wait_inactive 10 example-umad0.service
wait_inactive 10 rdma-hw.target
rxe_add rxe0
wait_active 30 example-any.service
wait_active 30 example-umad0.service
