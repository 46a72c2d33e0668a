#!/bin/bash
# A hostonly image of dracut on a host with an RDMA device carries our module (in upstream's place); booted with a
# device, rdma-hw.path, the rules and the loader do their work in it, network-pre.target is not reached there, and the
# real system goes on from there.
# The device is named in the image, by an admin's rule that our module took along, and keeps that name.
# also: debian12
# variant: rdma-boot
# pool: yes
# timeout: 1200
# boots: 2
. /vmtest/lib/assert.sh

case $BOOT in
1)
    boot_finished
    pool_enable
    # dracut-core does not take initramfs-tools' place, which the harness needs.
    apt_install install dracut-core
    rxe_add rxe0
    wait_active 90 rdma-hw.target
    # What no RDMA boot needs takes most of the time under emulation.
    omit="i18n plymouth drm kernel-modules-extra crypt dm dmraid lvm mdraid multipath btrfs nvdimm overlayfs overlay-root
        qemu qemu-net network network-manager biosdevname terminfo lunmask resume memstrack numlock dbus dbus-daemon
        systemd-hostnamed systemd-resolved systemd-timedated systemd-timesyncd systemd-coredump systemd-sysext
        systemd-pcrphase systemd-repart systemd-portabled pcsc tpm2-tss fido2 pkcs11 nvmf virtiofs virtfs hwdb rngd
        bluetooth caps modsign rescue watchdog watchdog-modules console-setup ppcmac pcmcia syslog masterkey"
    mark "making the image"
    # rdma is not asked for: it has to find by itself that it is needed here.
    dracut --force --hostonly --no-compress --no-early-microcode --omit "${omit//$'\n'/ }" \
        "$VMTEST_OUT/next-initrd" "$(uname -r)"
    mark "made the image"
    content=$(lsinitrd "$VMTEST_OUT/next-initrd")
    assert_match "$content" "usr/lib/rdma-boot/rdma-load-modules"
    assert_match "$content" "rdma_rxe\.ko"
    assert_match "$content" "rpcrdma\.ko"
    # hostonly: not a driver that this host does not use
    assert_no_match "$content" "mlx5_ib\.ko"
    ;;
2)
    cat /run/initrd-units /run/initrd-modules /run/initrd-nodes
    for module in ib_uverbs rdma_ucm ib_iser rpcrdma; do
        assert grep -qx "$module" /run/initrd-modules
    done
    assert grep -qx rdma_cm /run/initrd-nodes
    assert_eq "$(cat /run/initrd-names)" early0
    assert grep -qx "rdma-hw.target active " /run/initrd-units
    assert grep -qx "rdma-load-modules@rdma.service active success" /run/initrd-units
    assert grep -qx "network-pre.target inactive " /run/initrd-units
    boot_finished
    assert test -e /sys/class/infiniband/early0
    # "renamed" is in the journal once, from the initrd.
    assert_eq "$(journal -t rdma_rename)" "renamed rxe0 to early0"
    assert_active rdma-hw.target rdma-load-modules@rdma.service
    # On the real system the loaders are ordered before network-pre.target, and it is part of the boot.
    assert_before rdma-load-modules@rdma.service network-pre.target
    assert_before rdma-load-modules@rdma.service sysinit.target
    ;;
esac
