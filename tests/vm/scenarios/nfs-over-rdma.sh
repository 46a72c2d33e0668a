#!/bin/bash
# A file system over NFS and RDMA in fstab, whose link comes up late in the boot: with x-systemd.requires=rdma-online.target
# it is mounted, and without that the same mount fails.
# images: debian12
# also: debian13
# packages: nfs-kernel-server
# timeout: 60
# boots: 2
. /vmtest/lib/assert.sh

boot_finished
grep rdma /proc/fs/nfsd/portlist || fail "the server does not listen for RDMA"
journal -t mount -t rdma-wait-online -u mnt-without.mount -u mnt-with.mount
mark "the mount that waited for the ports"
assert_active mnt-with.mount
assert_eq "$(</mnt/with/file)" "over RDMA"
assert_match "$(findmnt -n -o OPTIONS /mnt/with)" 'proto=rdma'
assert_before rdma-wait-online.service mnt-with.mount
assert_match "$(journal -t rdma-wait-online)" 'ready after'
mark "the mount that did not"
assert_failed mnt-without.mount
# Nothing else was wrong with it.
assert systemctl start mnt-without.mount
assert_eq "$(</mnt/without/file)" "over RDMA"
umount /mnt/without /mnt/with
