#!/bin/bash
# A network adapter whose RDMA function has a slow driver: sysinit.target waits until the driver has made its device and
# the loaders have ended. When the driver is denied, in either of two ways, nobody waits for what never
# comes.
# images: debian13
# also: debian12
# timeout: 120
# boots: 3
. /vmtest/lib/assert.sh

boot_finished
function=/sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0
assert test -e "$function"
assert_active rdma-coldplug.service
assert_before rdma-coldplug.service sysinit.target
took=$((($(unit_time rdma-coldplug.service) - $(unit_time rdma-coldplug.service InactiveExitTimestamp)) / 1000))
echo "rdma-coldplug.service took $took ms"
case $BOOT in
1)
    assert test -e "$function/driver/module"
    assert test -e /sys/class/infiniband/rxe0
    assert_match "$(journal -t rdma-coldplug)" 'have arrived after'
    assert_before rdma-load-modules@rdma.service sysinit.target
    assert_before rdma-load-modules@roce.service sysinit.target
    assert_before "$(systemd-escape -p --suffix=device "$(readlink -f /sys/class/infiniband/rxe0)")" rdma-coldplug.service
    assert loaded rpcrdma
    assert loaded 9pnet_rdma
    echo "blacklist rdmaboot_test_auxdrv" >>/etc/modprobe.d/slow.conf
    ;;
2)
    assert_not test -e "$function/driver"
    assert_eq "$(/usr/lib/rdma-boot/rdma-coldplug --list)" "" "what rdma-coldplug waits for"
    ((took < 15000)) || fail "waited for a driver that is denied" # which takes 30 s
    echo "install rdmaboot_test_auxdrv /bin/false" >/etc/modprobe.d/slow.conf
    ;;
3)
    assert_not test -e "$function/driver"
    assert_eq "$(/usr/lib/rdma-boot/rdma-coldplug --list)" "" "what rdma-coldplug waits for"
    ((took < 15000)) || fail "waited for a driver whose install command does nothing" # which takes 30 s
    ;;
esac
