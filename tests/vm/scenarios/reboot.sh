#!/bin/bash
# What the harness promises to scenarios of several boots: the disk is kept, early files come once and before PID 1,
# and a scenario can choose the kernel arguments of its next boot (and its initrd: scenarios initrd-*).
# also: debian12
# variant: base
# timeout: 120
# boots: 2
# cmdline: systemd.wants=rxe-early.service
. /vmtest/lib/assert.sh

case $BOOT in
1)
    assert_active harness-early.service
    assert_eq "$(cat /etc/harness-early.txt)" "from the scenario's files"
    echo "changed in boot 1" >/etc/harness-early.txt
    echo "harness.word=from-boot-1" >"$VMTEST_OUT/next-cmdline"
    ;;
2)
    assert_eq "$(cat /etc/harness-early.txt)" "changed in boot 1"
    assert_match "$(cat /proc/cmdline)" "harness.word=from-boot-1"
    ;;
esac
assert_before rxe-early.service sysinit.target
assert test -e /sys/class/infiniband/rxe0
