#!/bin/bash
# A declared link is waited for, by name, with a bound: at the first boot it comes late and sysinit.target waits for its
# modules; at the second it never comes, the wait ends, says for what it was, and the boot goes on.
# images: debian12
# timeout: 150
# boots: 2
# cmdline: systemd.wants=late-link.service
. /vmtest/lib/assert.sh

boot_finished
if [[ $BOOT == 1 ]]; then
    assert_active rdma-coldplug.service rdma-hw.target
    assert_before rdma-coldplug.service sysinit.target
    assert_before rdma-load-modules@rdma.service sysinit.target
    rm /etc/systemd/system/late-link.service
    mkdir -p /etc/systemd/system/rdma-coldplug.service.d
    printf '[Service]\nExecStart=\nExecStart=/usr/lib/rdma-boot/rdma-coldplug --timeout=3\n' \
        >/etc/systemd/system/rdma-coldplug.service.d/short.conf
else
    assert_failed rdma-coldplug.service
    assert_active sysinit.target
    assert_match "$(journal -t rdma-coldplug)" 'gave up after 3 s, the boot goes on: link rxe9 is declared in'
    assert_inactive rdma-hw.target
fi
