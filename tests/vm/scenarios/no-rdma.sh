#!/bin/bash
# A machine without RDMA: no process of ours is started, at boot or later, and no module is loaded.
# images: debian12
# also: debian13
# timeout: 90
# cmdline: trace_event=sched:sched_process_exec trace_buf_size=4M
. /vmtest/lib/assert.sh

boot_finished
assert_eq "$(systemctl show -P SubState rdma-hw.path)" waiting
assert_eq "$(systemctl show -P SubState rdma-link.path)" waiting
assert_inactive rdma-hw.target rdma-load-modules@rdma.service rdma-coldplug.service
assert_eq "$(systemctl show -P ConditionResult rdma-coldplug.service)" no
trace=$(cat /sys/kernel/tracing/trace)
assert_match "$trace" 'filename=[^ ]*/systemd-udevd' "the trace of the boot"
assert_no_match "$trace" 'filename=[^ ]*rdma' "programs executed at boot"
assert_not loaded ib_core
assert_no_match "$(systemctl --failed --no-legend)" rdma
