#!/bin/bash
# rdma-responder, enabled: it starts with rdma-hw.target, answers a peer of its allow-list (ping, PUT, GET of the bytes
# that it promises), refuses another one, waits when its device goes, and serves on the one that comes instead. A port
# reaches level path of rdma-wait-online when it answers, not before, on soft-RoCE and soft-iWARP, in the unit's sandbox.
# images: debian12
# also: debian13
# timeout: 180
# payload: build/*/tests/vm/engine_node
. /vmtest/lib/assert.sh
. /vmtest/lib/engine.sh

boot_finished
engine_install engine_node
ip link add v0a type veth peer name v0b
for last in 1 8 9; do ip address add "10.9.0.$last/24" dev v0a; done
ip link set v0a up
ip link set v0b up
mkdir -p /etc/rdma/responder.conf.d
printf '[Responder]\nAddress=10.9.0.1\nAllow=10.9.0.9@o2ib\n' >/etc/rdma/responder.conf.d/test.conf
systemctl enable rdma-responder.service
assert_inactive rdma-responder.service rdma-hw.target

status_is() { [[ $(systemctl show -P StatusText rdma-responder.service) == "$1" ]]; }
# answers TIMES: TIMES is how often somebody was refused by then.
answers() {
    timeout 60 engine_node ask 10.9.0.9@o2ib 10.9.0.1@o2ib
    mark "who is not on the list"
    timeout 60 engine_node refused 10.9.0.8@o2ib 10.9.0.1@o2ib
    assert_eq "$(journal -t rdma-responder | grep -c '10.9.0.8@o2ib: request refused: .*not on the allow-list')" "$1" refusals
}

rxe_add rxe0
wait_active 30 rdma-responder.service
assert_active rdma-hw.target
wait_for 20 status_is "serving 10.9.0.1@o2ib on rxe0 port 1 (v0a)"
answers 1

mark "level path: a peer that refuses, then one that answers"
said=$(timeout 60 rdma-wait-online --timeout=6 --peer=10.9.0.1@o2ib rxe0:1 2>&1 || echo "status $?")
# Of its own addresses the first that is not the peer's, 10.9.0.8: not on the list.
assert_match "$said" 'rxe0:1: not yet: no path to 10.9.0.1@o2ib: .*(rejected|refused).*status 1'
# What the route to another host would do.
ip route replace local 10.9.0.1 dev v0a table local src 10.9.0.9
assert timeout 60 rdma-wait-online --timeout=30 --peer=10.9.0.7 --peer=10.9.0.1 rxe0:1
assert_match "$(timeout 60 rdma-wait-online --timeout=30 --json --peer=10.9.0.1@o2ib)" '"level":"path".*"status":"ready"'
refused=$(journal -t rdma-responder | grep -c '10.9.0.8@o2ib: request refused' || true)

mark "level path at boot: the unit waits until the peer is there"
printf '[Wait]\nTargets=rxe0:1\nPeers=10.9.0.1@o2ib\nTimeout=0\n' >/etc/rdma/wait-online.conf
waiting() { [[ $(systemctl show -P StatusText rdma-wait-online.service) =~ $1 ]]; }
systemctl stop rdma-responder.service
systemctl start --no-block rdma-online.target
wait_for 30 waiting 'rxe0:1: not yet: no path to 10.9.0.1@o2ib: .*nobody listens'
assert_inactive rdma-online.target
systemctl start rdma-responder.service
wait_active 30 rdma-online.target
assert_active rdma-wait-online.service
systemctl stop rdma-wait-online.service rdma-online.target
wait_for 20 status_is "serving 10.9.0.1@o2ib on rxe0 port 1 (v0a)"

mark "without a device it stays and waits"
link_del rxe0
wait_inactive 30 rdma-hw.target
assert_active rdma-responder.service
siw_add siw0
wait_for 30 status_is "serving 10.9.0.1@o2ib on siw0 port 1 (v0a)"
answers $((refused + 1))
mark "level path on soft-iWARP"
printf '[Wait]\nTargets=siw0:1\nPeers=10.9.0.1@o2ib\nTimeout=60\n' >/etc/rdma/wait-online.conf
assert systemctl start rdma-wait-online.service
assert_active rdma-wait-online.service

assert systemctl stop rdma-responder.service
assert_eq "$(systemctl show -P Result rdma-responder.service)" success
assert_no_match "$(journal -t rdma-responder -p err)" . "what the responder complained about"
