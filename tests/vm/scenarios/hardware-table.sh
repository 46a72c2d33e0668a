#!/bin/bash
# The table of drivers with an RDMA half says the truth about the kernel that runs here: which modules exist, and which
# are loaded by an alias of their own and which only by our rules.
# images: debian13
# also: debian12
# timeout: 60
# payload: tests/data/kernel-modules/*.txt src/device/hardware_table.cpp udev-rules/*.rules
. /vmtest/lib/assert.sh

payload=/vmtest/payload
kernel=$(uname -r)
. /etc/os-release
list=$(echo "$payload"/debian"$VERSION_ID"-*.txt)
assert test -s "$list"

mark "the list of modules is this kernel's"
names() { sed 's|.*/||; s/\.ko.*//; s/-/_/g' | LC_ALL=C sort; }
find "/lib/modules/$kernel/kernel/drivers/infiniband" -name '*.ko*' | names >/tmp/have
grep -v '^#' "$list" | LC_ALL=C sort >/tmp/want
missing=$(LC_ALL=C comm -23 /tmp/have /tmp/want)
assert_eq "$missing" "" "RDMA modules of this kernel that the list does not have"
while read -r module; do
    modinfo -n "$module" >/dev/null || fail "$module is in the list, but not in $kernel"
done </tmp/want

mark "each module has the alias that the table says"
rows=0
tr '\n' ' ' <"$payload/hardware_table.cpp" | grep -o '{"[^{}]*}' >/tmp/rows
while read -r row; do
    [[ $row =~ ^\{\"([^\"]+)\",\ *\"([^\"]+)\",\ *Binding::([A-Za-z]+) ]] || fail "not a row: $row"
    driver=${BASH_REMATCH[1]} module=${BASH_REMATCH[2]} binding=${BASH_REMATCH[3]}
    rows=$((rows + 1))
    grep -qx "$module" /tmp/want || continue
    if [[ $row =~ \"from\ ([0-9.]+)\" ]] &&
        [[ $(printf '%s\n' "${BASH_REMATCH[1]}" "$kernel" | sort -V | head -1) == "$kernel" ]]; then
        continue # not yet in this kernel
    fi
    aliases=$(modinfo -F alias "$module")
    case $binding in
    kAuxiliary) assert_match "$aliases" "auxiliary:$driver\\." "aliases of $module" ;;
    kSameDriver) assert_match "$aliases" 'pci:v' "aliases of $module" ;;
    kExplicitLoad)
        if [[ $aliases == *auxiliary:* ]]; then
            assert_match "$row" 'does it as well' "remark on $module, which has an auxiliary alias"
        fi
        ;;
    *) fail "unknown binding $binding" ;;
    esac
done </tmp/rows
((rows >= 20)) || fail "only $rows rows were read"

mark "the rules are installed and udev finds nothing to complain about"
for rules in "$payload"/*.rules; do
    assert cmp "$rules" "/lib/udev/rules.d/${rules##*/}"
done
if udevadm verify --help >/dev/null 2>&1; then
    udevadm verify "$payload"/*.rules
else
    echo "udevadm of systemd $(udevadm --version) has no verify: the other guest does it"
fi
