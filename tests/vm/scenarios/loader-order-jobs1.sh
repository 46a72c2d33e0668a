#!/bin/bash
# rdma_boot.jobs=1 on the kernel command line: one module at a time, in the order of the plan, the same in every run
# whatever was measured; rdma_boot.load=0 would load nothing.
# also: debian12
# timeout: 150
# cmdline: rdma_boot.jobs=1
. /vmtest/lib/assert.sh

L=/usr/lib/rdma-boot/rdma-load-modules
TEST="rdmaboot_test_slow rdmaboot_test_c rdmaboot_test_b rdmaboot_test_a rdmaboot_test_plain"

# In the order of loading: the kernel lists the youngest first.
loaded_order() { tac /proc/modules | awk '$1 ~ /^rdmaboot_test/ { printf "%s ", $1 }'; }
planned_order() { "$L" --dry-run order | awk '/^0 / { printf "%s ", $4 }'; }

boot_finished
plan=$(planned_order)
assert_eq "$plan" "rdmaboot_test_plain rdmaboot_test_a rdmaboot_test_b rdmaboot_test_c rdmaboot_test_slow "
for run in 1 2 3; do
    mark "run $run"
    "$L" order
    assert_eq "$(loaded_order)" "$plan" "order of run $run"
    # shellcheck disable=SC2086 # a list of names
    modprobe -r $TEST
    # Times that would turn the order round.
    mkdir -p /var/lib/rdma-boot
    printf '%s\n' 'rdmaboot_test_slow 9000000' 'rdmaboot_test_a 5' 'rdmaboot_test_b 5' 'rdmaboot_test_c 5' \
        'rdmaboot_test_plain 5' >/var/lib/rdma-boot/module-times
done
# With more workers the slow one comes first.
assert_match "$("$L" --dry-run --jobs=2 order | sed -n 2p)" rdmaboot_test_slow
