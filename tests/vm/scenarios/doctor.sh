#!/bin/bash
# rdmactl doctor finds nothing on a healthy host, each of seventeen faults after they were planted, and the same from a
# snapshot.
# also: debian12 debian13
# timeout: 300
. /vmtest/lib/assert.sh

ids() { sed -nE 's/^\S+ (error|warning|notice) ([a-z-]+): .*/\2/p' | sort | tr '\n' ' '; }
status() {
    local status=0
    "$@" >/dev/null 2>&1 || status=$?
    echo "$status"
}
# examine ARGS...: doctor, whose status 2 (something was found) is what is expected here.
examine() { rdmactl doctor "$@" || (($? == 2)); }
described() { [[ $(</sys/class/infiniband/rxe1/node_desc) == "vm rxe1" ]]; }
mapper_answers() { iwpmd --dump >/dev/null 2>&1; }

boot_finished
mark "a healthy host"
mkdir -p /etc/security/limits.d
echo '* - memlock unlimited' >/etc/security/limits.d/rdma.conf
for pair in v0 v1; do
    ip link add "${pair}a" type veth peer name "${pair}b"
    ip link set "${pair}b" up
    ip link set "${pair}a" up
done
ip address add 10.9.0.1/24 dev v0a
ip address add 10.9.1.1/24 dev v1a
rdma link add rxe0 type rxe netdev v0a
rdma link add rxe1 type rxe netdev v1a
rdma link add siw0 type siw netdev v0b
ip address add 10.9.0.2/24 dev v0b
wait_active 30 rdma-hw.target
wait_for 20 described
wait_for 20 mapper_answers
rdmactl doctor || fail "something was found on a healthy host"
assert_eq "$(status runuser -u nobody -- rdmactl doctor)" 0 "as any user"

mark "faults"
echo 'blacklist ib_iser' >/etc/modprobe.d/site.conf                                       # module-denied
mkdir -p /etc/rdma/modules/rdma.conf.d
echo 'no_such_module' >/etc/rdma/modules/rdma.conf.d/site.conf                            # modules-missing
ln -s /dev/null /etc/udev/rules.d/90-rdma-umad.rules                                      # rules-overridden
rm "$(find /usr/lib/udev/rules.d -name 75-rdma-description.rules)"                        # rules-missing
ln -s /dev/null /etc/systemd/system/rdma-coldplug.service                                 # units-overridden
systemctl disable rdma-link.path                                                          # units-disabled
rm "$(find /usr/lib/systemd/system -name rdma-online.target)"                             # units-missing
printf '[Unit]\nAfter=openibd.service\n' >/etc/systemd/system/site.service                # unit-order
printf '[Unit]\nAfter=rdma-hw.target\n[Service]\nUser=nobody\nExecStart=/bin/true\n' \
    >/etc/systemd/system/user.service                                                     # memlock-services
rm /etc/security/limits.d/rdma.conf                                                       # memlock-users
touch /etc/init.d/openibd                                                                 # two-layers
systemctl start rdma-load-modules@nothing.service || true                                 # units-failed
ip link set v0a down                                                                      # port-down
ip address flush dev v1a
ip link set v1a down
ip link set v1a up                                                                        # no-address: fe80:: alone
systemctl stop iwpmd.service rdma-ndd.service                                             # port-mapper-silent
echo -n same >/sys/class/infiniband/rxe0/node_desc
echo -n same >/sys/class/infiniband/rxe1/node_desc                                        # description-collision
rm /dev/infiniband/uverbs0                                                                # device-nodes
only_link_local() { [[ $(examine | ids) == *no-address* ]]; }
wait_for 20 only_link_local

expected="description-collision device-nodes memlock-services memlock-users module-denied modules-missing no-address \
port-down port-mapper-silent rules-missing rules-overridden two-layers unit-order units-disabled units-failed \
units-missing units-overridden "
assert_eq "$(status rdmactl doctor)" 2
examine | tee "$VMTEST_OUT/doctor.txt" | ids >/tmp/found
assert_eq "$(</tmp/found)" "$expected"
COLUMNS=80 examine >"$VMTEST_OUT/doctor-80.txt"

mark "from a snapshot"
rdmactl doctor --snapshot "$VMTEST_OUT/snapshot.tgz"
assert_eq "$(stat -c %a "$VMTEST_OUT/snapshot.tgz")" 600
assert_eq "$(examine --from "$VMTEST_OUT/snapshot.tgz" | ids)" "$expected"
diff <(examine --from "$VMTEST_OUT/snapshot.tgz") "$VMTEST_OUT/doctor.txt" ||
    fail "a snapshot says something else"
assert_eq "$(status rdmactl doctor --snapshot "$VMTEST_OUT/snapshot.tgz")" 1 "a file is not replaced"
head -c 2000 "$VMTEST_OUT/snapshot.tgz" >/tmp/cut.tgz
assert_eq "$(status rdmactl doctor --from /tmp/cut.tgz)" 1 "a snapshot that was cut"
assert_eq "$(find /tmp -name 'rdmactl-*' | wc -l)" 0 "private directories left"
assert_match "$(examine --json)" '"id": "two-layers"'
assert_eq "$(examine --ignore "${expected// /,}port-down" | ids)" ""
