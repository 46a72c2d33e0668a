#!/bin/bash
# A soft-RoCE device that exists in the initrd, as a real adapter's would; what the harness's own initrd does for every
# boot; and a look at the state before the real root takes over.
check() { return 0; }
depends() { echo systemd; }
installkernel() { hostonly='' instmods dummy rdma_rxe virtio_blk virtio_pci ext4; }
install() {
    inst_multiple ip rdma cp cut ls cat systemctl udevadm modprobe
    # shellcheck disable=SC2154 # of dracut
    inst_simple "$moddir/vmtest-rxe" /usr/bin/vmtest-rxe
    inst_simple "$moddir/vmtest-rxe.service" /usr/lib/systemd/system/vmtest-rxe.service
    mkdir -p "${initdir:?}/usr/lib/systemd/system/sysinit.target.wants"
    ln -sf ../vmtest-rxe.service "$initdir/usr/lib/systemd/system/sysinit.target.wants/vmtest-rxe.service"
    inst_hook pre-pivot 90 "$moddir/vmtest-pivot.sh"
}
