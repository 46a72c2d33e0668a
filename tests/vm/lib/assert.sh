# shellcheck shell=bash
# What a scenario needs to say what it expects. Sourced first by every scenario; any command that fails ends the
# scenario, with the line it stands on. A claim that does not hold prints "FAIL: file:line: what".
set -Eeuo pipefail
. /vmtest/lib/environment.sh

# Where the scenario stands: the first caller outside this file.
vmtest_place() {
    local depth=1
    while [[ ${BASH_SOURCE[depth]:-} == */assert.sh ]]; do depth=$((depth + 1)); done
    echo "$(basename "${BASH_SOURCE[depth]:-scenario}"):${BASH_LINENO[depth - 1]}"
}

vmtest_error() {
    local status=$? command=$BASH_COMMAND
    trap - ERR
    echo "FAIL: $(vmtest_place): status $status from: $command" >&2
    exit 1
}
trap vmtest_error ERR

# fail TEXT: ends the scenario as failed.
fail() {
    trap - ERR
    echo "FAIL: $(vmtest_place): $*" >&2
    exit 1
}

# skip REASON: ends the scenario as not applicable here.
skip() {
    echo "SKIP: $*"
    exit 77
}

# now_ms: milliseconds since boot, on the clock that systemd and the journal use (10 ms steps).
now_ms() {
    local up
    read -r up _ </proc/uptime
    up=${up/./}
    echo "$((10#$up * 10))"
}

# mark TEXT: puts a line into the timeline.
mark() {
    local now
    now=$(now_ms)
    echo "$now $*" >>/vmtest/marks
    printf '[%6d ms] %s\n' "$now" "$*"
}

# assert_eq GOT WANT [WHAT]
assert_eq() {
    [[ $1 == "$2" ]] || fail "${3:-value}: got '$1', want '$2'"
}

# assert_ne GOT UNWANTED [WHAT]
assert_ne() {
    [[ $1 != "$2" ]] || fail "${3:-value}: got '$1', want anything else"
}

# assert_match TEXT REGEX [WHAT]: extended regular expression, anywhere in the text.
assert_match() {
    [[ $1 =~ $2 ]] || fail "${3:-text}: '$2' not found in: $1"
}

# assert_no_match TEXT REGEX [WHAT]
assert_no_match() {
    [[ ! $1 =~ $2 ]] || fail "${3:-text}: '$2' found in: $1"
}

# assert COMMAND...: the command succeeds.
assert() {
    "$@" || fail "not so: $*"
}

# assert_not COMMAND...: the command fails.
assert_not() {
    if "$@"; then fail "unexpectedly so: $*"; fi
}

# assert_active UNIT..., assert_inactive UNIT..., assert_failed UNIT...: the unit's state now.
vmtest_state() {
    local want=$1 unit got
    shift
    for unit; do
        got=$(systemctl show -P ActiveState "$unit")
        if [[ $got != "$want" ]]; then
            journalctl -b --no-pager -n 20 -o short-monotonic -u "$unit" || true
            fail "$unit is $got, want $want"
        fi
    done
}
assert_active() { vmtest_state active "$@"; }
assert_inactive() { vmtest_state inactive "$@"; }
assert_failed() { vmtest_state failed "$@"; }

# wait_for SECONDS COMMAND...: tries the command until it succeeds.
wait_for() {
    local seconds=$1 end
    shift
    end=$(($(now_ms) + seconds * 1000))
    until "$@" >/dev/null 2>&1; do
        if (($(now_ms) > end)); then fail "not within $seconds s: $*"; fi
        sleep 0.1
    done
}

# wait_active SECONDS UNIT, wait_inactive SECONDS UNIT
wait_active() { wait_for "$1" systemctl -q is-active "$2"; }
vmtest_is_inactive() { [[ $(systemctl show -P ActiveState "$1") == inactive ]]; }
wait_inactive() { wait_for "$1" vmtest_is_inactive "$2"; }

# boot_finished [SECONDS]: waits until no job of the boot is left ("degraded" counts too).
boot_finished() {
    timeout "${1:-120}" systemctl is-system-running --wait >/dev/null || true
}

# unit_time UNIT [PROPERTY]: microseconds since boot at which the unit became active last (for a oneshot: ended);
# other properties: ActiveExitTimestamp, InactiveExitTimestamp (start began), InactiveEnterTimestamp. 0: never.
unit_time() {
    systemctl show -P "${2:-ActiveEnterTimestamp}Monotonic" "$1"
}

# assert_before A B: both units have been active, and A became so before B.
assert_before() {
    local a b
    a=$(unit_time "$1")
    b=$(unit_time "$2")
    [[ ${a:-0} != 0 ]] || fail "$1 never became active"
    [[ ${b:-0} != 0 ]] || fail "$2 never became active"
    ((a < b)) || fail "$1 became active at $((a / 1000)) ms, $2 before it, at $((b / 1000)) ms"
}

# journal ARGS...: this boot's journal, messages only.
journal() {
    journalctl -b --no-pager -o cat "$@"
}

# loaded MODULE: the module is in the kernel and live.
loaded() {
    [[ -e /sys/module/${1//-/_}/initstate && $(<"/sys/module/${1//-/_}/initstate") == live ]]
}

# wait_device RDMA_DEVICE [SECONDS], wait_no_device RDMA_DEVICE [SECONDS]: /sys/class/infiniband/NAME
wait_device() { wait_for "${2:-20}" test -e "/sys/class/infiniband/$1"; }
wait_no_device() { wait_for "${2:-20}" test ! -e "/sys/class/infiniband/$1"; }

# link_add NAME TYPE [NUMBER]: a veth pair (v<NUMBER>a with 10.9.<NUMBER>.1, and v<NUMBER>b with .2) and an RDMA
# device of TYPE rxe or siw on its first end. Plugging in, as far as the kernel, udev and systemd are concerned.
link_add() {
    local name=$1 type=$2 number=${3:-0}
    if ! [[ -e /sys/class/net/v${number}a ]]; then
        ip link add "v${number}a" type veth peer name "v${number}b"
        ip address add "10.9.$number.1/24" dev "v${number}a"
        ip address add "10.9.$number.2/24" dev "v${number}b"
        ip link set "v${number}a" up
        ip link set "v${number}b" up
    fi
    mark "$name ($type) is plugged in"
    rdma link add "$name" type "$type" netdev "v${number}a"
}
rxe_add() { link_add "$1" rxe "${2:-0}"; }
siw_add() { link_add "$1" siw "${2:-0}"; }

# link_del NAME: unplugs the RDMA device.
link_del() {
    mark "$1 is unplugged"
    rdma link delete "$1"
}

# pool_enable: makes "apt-get install" work from the package pool (scenario header "# pool: yes").
pool_enable() {
    mkdir -p /pool
    mountpoint -q /pool || mount -o ro /dev/disk/by-id/virtio-vmpool /pool
    rm -f /etc/apt/sources.list.d/*
    echo "deb [trusted=yes] file:/pool ./" >/etc/apt/sources.list.d/pool.list
    apt-get -q update
}

# apt_install ARGS...: apt-get install, never asking.
apt_install() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends "$@"
}

# barrier NAME [VALUE] [SECONDS]: in a scenario of two guests, waits for the other one to reach the barrier of this
# name, and prints the value that the other one brought. peer_up has to be called first.
barrier() {
    python3 /vmtest/lib/barrier.py "$GUEST" "$1" "${2:-}" "${3:-120}"
}

vmtest_find_nic() {
    local path
    for path in /sys/class/net/*/address; do
        if [[ $(<"$path") == 52:54:00:77:00:0* ]]; then
            path=${path%/address}
            PEER_NIC=${path##*/}
            return 0
        fi
    done
    return 1
}

# peer_up: gives the NIC between the guests its address (10.77.0.1 for a, 10.77.0.2 for b) and waits for the other.
# Sets PEER_NIC, PEER_OWN and PEER_OTHER.
peer_up() {
    # shellcheck disable=SC2034 # for the scenario
    case $GUEST in
    a) PEER_OWN=10.77.0.1 PEER_OTHER=10.77.0.2 ;;
    b) PEER_OWN=10.77.0.2 PEER_OTHER=10.77.0.1 ;;
    *) fail "peer_up is for scenarios of two guests" ;;
    esac
    # udev loads the NIC's driver and then gives the NIC its name; it may not have come to either yet.
    wait_for 30 vmtest_find_nic
    udevadm settle
    vmtest_find_nic
    ip address add "$PEER_OWN/24" dev "$PEER_NIC"
    ip link set "$PEER_NIC" up
    barrier peer_up >/dev/null
}
