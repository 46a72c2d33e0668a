#!/bin/bash
# proto
# images: debian12
# variant: base
# timeout: 90
# boots: 4
# cmdline: systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh
boot_finished
for u in rxe-early.service rdma-hw.path rdma-load-modules@rdma.service rdma-hw.target sysinit.target sys-devices-virtual-infiniband-rxe0.device; do echo "$u $(unit_time $u InactiveExitTimestamp) $(unit_time $u)"; done
journalctl -b -o short-monotonic --no-pager -u 'rdma*' -u sysinit.target -u rxe-early | cat
assert_before rdma-load-modules@rdma.service sysinit.target
systemctl is-active rdma-hw.target
rdma link delete rxe0
wait_inactive 10 rdma-hw.target
wait_inactive 10 rdma-load-modules@rdma.service
