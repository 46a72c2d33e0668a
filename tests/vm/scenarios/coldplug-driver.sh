#!/bin/bash
# A network adapter's RDMA function whose driver is slow: sysinit.target waits for the driver, and for no longer. The
# second boot denies the driver: nobody waits for what never comes.
# images: debian12
# timeout: 120
# boots: 2
. /vmtest/lib/assert.sh

boot_finished
function=/sys/bus/auxiliary/devices/rdmaboot_test_aux.rdma.0
assert test -e "$function"
assert_active rdma-coldplug.service
assert_before rdma-coldplug.service sysinit.target
took=$((($(unit_time rdma-coldplug.service) - $(unit_time rdma-coldplug.service InactiveExitTimestamp)) / 1000))
echo "rdma-coldplug.service took $took ms"
if [[ $BOOT == 1 ]]; then
    assert test -e "$function/driver"
    ((took >= 1000)) || fail "did not wait for the driver"
    assert_match "$(journal -u rdma-coldplug.service)" 'have arrived after'
    echo "blacklist rdmaboot_test_auxdrv" >>/etc/modprobe.d/slow.conf
else
    assert_not test -e "$function/driver"
    ((took < 3000)) || fail "waited for a driver that is denied"
fi
