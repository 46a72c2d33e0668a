#!/bin/bash
# The sandboxes: every service of ours scores 2.5 or better with this systemd, is well-formed, and works in it (the other
# scenarios run in the same sandbox; here the loader and the wait are seen to do their work).
# images: debian13
# also: debian12
# timeout: 90
. /vmtest/lib/assert.sh

boot_finished
services=(rdma-load-modules@rdma.service rdma-coldplug.service rdma-ndd.service rdma-link.service rdma-link@x.service
    rdma-link-recheck@success.service rdma-wait-online.service rdma-wait-online@rxe0.service iwpmd.service
    rdma-responder.service rdma.service)
for unit in "${services[@]}"; do
    assert systemd-analyze security --no-pager --threshold=25 "$unit"
    systemd-analyze security --no-pager "$unit" | tail -1
done
for unit in rdma-hw.target rdma-hw.path rdma-link.path rdma-online.target "${services[@]}"; do
    assert_eq "$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -v '^$' || true)" "" "systemd-analyze verify $unit"
done
rxe_add rxe0
wait_active 30 rdma-hw.target
assert_eq "$(systemctl show -P Result rdma-load-modules@rdma.service)" success
assert loaded rdma_ucm
# With a device there the wait has its condition, asks PID 1, and ends at once.
assert systemctl start rdma-coldplug.service
assert_eq "$(systemctl show -P Result rdma-coldplug.service)" success

mark "what the loader's sandbox refuses, asked from inside, by way of an install command"
# Its own view is what counts; the answers go to a file that it may write.
cat >/usr/local/sbin/look-around <<'EOF'
#!/bin/sh
try() { if "$@" >/dev/null 2>&1; then echo "allowed: $*"; else echo "refused: $*"; fi >>/run/look-around; }
try python3 -c 'import socket; socket.socket(socket.AF_INET)'
try unshare --uts true
try mount -t tmpfs tmpfs /mnt
try date --set=2020-01-01
try mkdir /sys/fs/cgroup/mine
try head -c 1 /dev/kmsg
try head -c 1 /dev/vda
try chmod u+s /run/look-around
try chroot / true
try true
EOF
chmod +x /usr/local/sbin/look-around
echo "install rdmaboot_test_plain /usr/local/sbin/look-around && /sbin/modprobe --ignore-install rdmaboot_test_plain" \
    >/etc/modprobe.d/look-around.conf
echo rdmaboot_test_plain >/etc/rdma/modules/look.conf
assert systemctl start rdma-load-modules@look.service
cat /run/look-around
assert loaded rdmaboot_test_plain
# root outside of the sandbox may do these
assert python3 -c 'import socket; socket.socket(socket.AF_INET)'
assert unshare --uts true
assert_eq "$(grep -c ^refused /run/look-around)" 9 "refused"
assert_eq "$(grep ^allowed /run/look-around)" "allowed: true" "allowed"
