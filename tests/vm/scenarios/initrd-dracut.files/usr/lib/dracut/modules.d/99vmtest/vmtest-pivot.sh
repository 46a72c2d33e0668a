#!/bin/sh
# pre-pivot: the root is mounted, its PID 1 is next
[ ! -d /vmtest-overlay ] || cp -a /vmtest-overlay/. "${NEWROOT:?}/"
cut -d ' ' -f 1 /proc/modules >/run/initrd-modules
ls /dev/infiniband >/run/initrd-nodes
ls /sys/class/infiniband >/run/initrd-names
for unit in rdma-hw.path rdma-hw.target rdma-load-modules@rdma.service rdma-load-modules@roce.service \
    network-pre.target sysinit.target initrd.target; do
    echo "$unit $(systemctl show -P ActiveState "$unit") $(systemctl show -P Result "$unit")"
done >/run/initrd-units
