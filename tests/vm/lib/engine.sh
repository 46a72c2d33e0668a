# shellcheck shell=bash
# What the scenarios of the connection engine share. Sourced after assert.sh; programs come as payload.

# engine_install PROGRAM...: puts them where they can be run. engine_prepare PROGRAM...: and loads the modules.
engine_install() {
    local program needs
    # siw counts what is registered against this limit, root's too; a service has 8 MiB.
    ulimit -l unlimited
    for program; do
        install -m 755 "/vmtest/payload/$program" /usr/local/bin/
        needs=$(ldd "/usr/local/bin/$program" 2>&1)
        [[ $needs != *"not found"* ]] || skip "built on a newer release than this guest: $needs"
    done
}
engine_prepare() {
    engine_install "$@"
    # In this order, as on a real boot: who came last hears of a removal first. With rdma_cm before ib_uverbs the removal
    # waits for the program, which is told nothing.
    modprobe ib_uverbs
    modprobe rdma_ucm
    wait_for 20 test -e /dev/infiniband/rdma_cm
}

# engine_device TYPE: TYPE0 with the addresses 10.9.0.1 and 10.9.0.9; "add" and "del" bring it and take it away.
engine_device() {
    local type=$1
    eval "add() { link_add ${type}0 $type; }; del() { link_del ${type}0; }"
    add
    ip address add 10.9.0.9/24 dev v0a 2>/dev/null || true
    wait_device "${type}0"
}

# engine_serve ARGS...: a server in the background, until engine_stop, or engine_kill without a word.
engine_serve() {
    engine_node serve "$@" >/tmp/served 2>&1 &
    engine_server=$!
    wait_for 30 grep -q "serving on" /tmp/served
}
engine_stop() {
    kill "$engine_server"
    wait "$engine_server" || fail "the server: $(cat /tmp/served)"
    cat /tmp/served
}
engine_kill() {
    kill -9 "$engine_server"
    wait "$engine_server" || true
}

# engine_through BREAK MEND OWN PEER: PUTs from OWN to PEER; BREAK makes one of them fail, and after MEND they work again.
engine_through() {
    local stream
    engine_node stream "$3" "$4" 256K >/tmp/stream 2>&1 &
    stream=$!
    wait_for 60 grep -q streaming /tmp/stream
    "$1"
    wait_for 60 grep -q lost /tmp/stream
    "$2"
    wait "$stream" || fail "$(cat /tmp/stream /tmp/served)"
    cat /tmp/stream
}

# engine_no_connection: no queue pair and no completion queue of our programs, one of which may still serve.
engine_no_connection() {
    local kind
    for kind in qp cq; do
        if rdma resource show "$kind" | grep -E 'engine_node|fabric_check'; then return 1; fi
    done
}

# engine_nothing_left: no queue pair, completion queue, region, id or protection domain of our programs.
engine_nothing_left() {
    local kind
    for kind in qp cq mr cm_id pd; do
        if rdma resource show "$kind" | grep -E 'engine_node|fabric_check'; then return 1; fi
    done
}
