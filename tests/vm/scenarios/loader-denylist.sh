#!/bin/bash
# modprobe.d and module_blacklist= are honoured, a missing module is skipped, and none of that fails the unit; a module the
# kernel refuses does.
# images: debian12
# also: debian13
# timeout: 120
# cmdline: module_blacklist=rdmaboot_test_a
. /vmtest/lib/assert.sh

result() { journalctl -b --no-pager -o cat --output-fields=RESULT -n 1 "KMOD=$1"; }

boot_finished
systemctl start rdma-load-modules@deny.service
assert_eq "$(systemctl show -P Result rdma-load-modules@deny.service)" success

mark "blacklist of modprobe.d"
assert_eq "$(result rdmaboot_test_plain)" denied
assert_not loaded rdmaboot_test_plain
mark "install /bin/false"
assert_eq "$(result rdmaboot_test_slow)" denied
assert_not loaded rdmaboot_test_slow
mark "install command that loads"
assert_eq "$(result rdmaboot_test_node)" loaded
assert_eq "$(cat /sys/module/rdmaboot_test_node/parameters/node_delay_ms)" 7 "options reach the install command"
mark "module_blacklist= and what depends on it"
assert_eq "$(result rdmaboot_test_a)" denied
assert_eq "$(result rdmaboot_test_c)" dependency-failed
assert_not loaded rdmaboot_test_a
mark "not in this kernel"
assert_eq "$(result rdmaboot_no_such_module)" missing
assert_match "$(journal KMOD=rdmaboot_no_such_module)" 'deny.conf:5'

mark "the kernel refuses"
if systemctl start rdma-load-modules@refused.service; then
    fail "a module that cannot be loaded fails the unit"
fi
assert_eq "$(systemctl show -P ExecMainStatus rdma-load-modules@refused.service)" 1
assert_eq "$(result rdmaboot_test_fail)" failed
assert_match "$(journal KMOD=rdmaboot_test_fail)" 'Invalid argument'

mark "a list that is nowhere"
if systemctl start rdma-load-modules@nowhere.service; then
    fail "a missing list fails the unit"
fi
assert_match "$(journal -t rdma-load-modules)" '/etc/rdma/modules/nowhere.conf'

mark "layers, drop-ins and masks, by way of the unit and its conditions"
mkdir -p /run/rdma/modules /usr/lib/rdma/modules /etc/rdma/modules/only-dropins.conf.d
echo rdmaboot_test_b >/run/rdma/modules/in-run.conf
echo rdmaboot_no_such_module >/usr/lib/rdma/modules/in-run.conf
echo rdmaboot_test_b >/etc/rdma/modules/only-dropins.conf.d/10.conf
ln -s /dev/null /etc/rdma/modules/masked.conf
echo rdmaboot_test_fail >/usr/lib/rdma/modules/masked.conf
for list in in-run only-dropins 'only\x2ddropins' masked; do
    systemctl start "rdma-load-modules@$list.service"
    assert_eq "$(systemctl show -P Result "rdma-load-modules@$list.service")" success "$list"
done
# /run before /usr/lib; the module that it needs is denied on the kernel command line
assert_match "$(journal RDMA_LIST=in-run)" 'rdmaboot_test_b: dependency-failed'
# by either name of the unit
assert_eq "$(journal RDMA_LIST=only-dropins | grep -c 'rdmaboot_test_b: dependency-failed')" 2
assert_match "$(journal -t rdma-load-modules)" 'list masked is masked'
