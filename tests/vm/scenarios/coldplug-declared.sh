#!/bin/bash
# A declared link is waited for, by name, with a bound: at the first boot its interface comes late, rdma-link makes the
# link, and sysinit.target waits for its modules; at the second the interface never comes, the wait ends, says for what
# it was, and the boot goes on; at the third nobody waits, because the declaration says so.
# images: debian12
# timeout: 150
# boots: 3
# cmdline: systemd.wants=late-interface.service
. /vmtest/lib/assert.sh

boot_finished
case $BOOT in
1)
    assert_active rdma-coldplug.service rdma-hw.target
    assert test -e /sys/class/infiniband/rxe9
    assert_before rdma-coldplug.service sysinit.target
    assert_before rdma-load-modules@rdma.service sysinit.target
    rm /etc/systemd/system/late-interface.service
    mkdir -p /etc/systemd/system/rdma-coldplug.service.d
    printf '[Service]\nExecStart=\nExecStart=/usr/lib/rdma-boot/rdma-coldplug --timeout=3\n' \
        >/etc/systemd/system/rdma-coldplug.service.d/short.conf
    ;;
2)
    assert_failed rdma-coldplug.service
    assert_active sysinit.target
    assert_match "$(journal -t rdma-coldplug)" 'gave up after 3 s, the boot goes on: link rxe9 is declared in'
    assert_inactive rdma-hw.target
    echo WaitAtBoot=no >>/etc/rdma/links.d/10-late.conf
    ;;
3)
    assert_active rdma-coldplug.service
    assert_inactive rdma-hw.target
    ;;
esac
