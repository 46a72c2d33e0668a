#!/bin/bash
# An image of initramfs-tools carries RDMA when it is asked for, and only then; booted with a device, rules, rdma_id
# and the loader have done their work in it before the real root is mounted, and the real system goes on from there.
# The device is named in the image, by an admin's rule that the hook took along, and keeps that name.
# images: debian13
# variant: rdma-boot
# timeout: 900
# boots: 2
. /vmtest/lib/assert.sh

# hook_copies SETTING MODULES: the files that our hook would add to an image
hook_copies() {
    local directory
    directory=$(mktemp -d)
    echo "$1" >/etc/initramfs-tools/conf.d/rdma
    DESTDIR=$directory CONFDIR=/etc/initramfs-tools MODULES=$2 version=$(uname -r) verbose=n \
        __MODULES_TO_ADD=$directory/modules-to-add MODULESDIR=/lib/modules/$(uname -r) \
        /usr/share/initramfs-tools/hooks/rdma-boot >&2
    find "$directory" -type f -printf '%P\n'
    cat "$directory/modules-to-add" 2>/dev/null || true
    rm -rf "$directory" /etc/initramfs-tools/conf.d/rdma
}

case $BOOT in
1)
    boot_finished
    # Not asked for, or not for this host: nothing at all.
    assert_eq "$(hook_copies RDMA=no dep)" "" "RDMA=no"
    assert_eq "$(hook_copies RDMA=auto most)" "" "RDMA=auto in a generic image"
    assert_eq "$(hook_copies RDMA=auto dep)" "" "RDMA=auto without a device"
    assert_eq "$(hook_copies RDMA=perhaps dep)" "" "a setting that does not exist"
    # This host has a device now: what it uses, and no other driver.
    rxe_add rxe0
    wait_active 90 rdma-hw.target
    copies=$(hook_copies RDMA=auto dep)
    assert_match "$copies" "usr/lib/rdma-boot/rdma-load-modules"
    assert_match "$copies" "usr/lib/rdma-boot/rdma-load-modules-late.so"
    assert_match "$copies" "etc/rdma/modules/rdma.conf"
    assert_match "$copies" "rules.d/75-rdma-description.rules"
    assert_match "$copies" "udev/rdma_rename"
    assert_match "$copies" "rules.d/60-rdma-persistent-naming.rules"
    assert_match "$copies" "rules.d/59-rdma-names.rules"
    assert_match "$copies" "rdma_rxe"
    assert_no_match "$copies" "mlx5_ib"

    mark "making the image"
    echo RDMA=yes >/etc/initramfs-tools/conf.d/rdma
    mkinitramfs -o "$VMTEST_OUT/next-initrd" "$(uname -r)"
    mark "made the image"
    content=$(lsinitramfs "$VMTEST_OUT/next-initrd")
    assert_match "$content" "infiniband/hw/mlx5/mlx5_ib\.ko"
    assert_match "$content" "scripts/init-premount/rdma-boot"
    assert_match "$content" "udev/rdma_id"
    ;;
2)
    cat /run/initrd-modules /run/initrd-nodes /run/initrd-properties
    for module in ib_uverbs rdma_ucm ib_iser rpcrdma; do
        assert grep -qx "$module" /run/initrd-modules
    done
    assert grep -qx rdma_cm /run/initrd-nodes
    assert grep -qx uverbs0 /run/initrd-nodes
    assert grep -qx ID_RDMA_ROCE=1 /run/initrd-properties
    boot_finished
    assert test -e /sys/class/infiniband/early0
    assert_not test -e /sys/class/infiniband/rxe0
    assert_eq "$(journal -t rdma_rename)" "" "renamed by the real system"
    assert_active rdma-hw.target rdma-load-modules@rdma.service
    assert_before rdma-load-modules@rdma.service sysinit.target
    assert_eq "$(systemctl show -P Result rdma-load-modules@rdma.service)" success
    # Once: the record of the device that the initrd has left in udev's database, without our tag, must not make the
    # loader end before udev has come to the device. (Not by -u: the device is older than this systemd, so the target may
    # be reached before there is a journald, and what PID 1 then tells the kernel's log has no field of the unit.)
    assert_eq "$(journal -t systemd | grep -c '^Reached target rdma-hw\.target')" 1
    assert_no_match "$(journal -t rdma-load-modules)" 'in vain'
    ;;
esac
