#!/bin/bash
# NVMe over RDMA whose link comes up late in the boot: target and initiator that are ordered after rdma-online.target find
# each other; a target that is not fails to bind to its address.
# images: debian13
# also: debian12
# packages: nvme-cli
# timeout: 60
. /vmtest/lib/assert.sh

boot_finished
journal -t nvme-target -t nvme -t rdma-wait-online -u nvmf-autoconnect.service -u target-without.service
mark "the target that waited for the ports"
assert_active target-with.service
assert_before rdma-wait-online.service target-with.service
mark "the initiator that waited"
wait_for 20 compgen -G '/dev/nvme*n1'
disk=$(compgen -G '/dev/nvme*n1')
assert_eq "$(cat "/sys/class/block/${disk##*/}/device/transport" 2>/dev/null || cat /sys/class/nvme/nvme*/transport)" rdma
assert_eq "$(head -c 9 "$disk")" "over RDMA"
mark "the target that did not wait"
assert_failed target-without.service
# Nothing else was wrong with it.
assert systemctl start target-without.service
nvme disconnect-all
