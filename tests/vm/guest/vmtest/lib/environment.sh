# shellcheck shell=bash
# What the harness says on the kernel command line (vmtest.NAME=VALUE) becomes VMTEST_NAME.
# Also the few facts that scenarios ask for: BOOT (1 for the first), BOOTS, GUEST (a, b or nothing), IMAGE.
read -r vmtest_cmdline </proc/cmdline
for vmtest_word in $vmtest_cmdline; do
    case $vmtest_word in
    vmtest.*=*)
        vmtest_name=${vmtest_word%%=*}
        vmtest_name=${vmtest_name#vmtest.}
        export "VMTEST_${vmtest_name^^}=${vmtest_word#*=}"
        ;;
    esac
done
export BOOT=${VMTEST_BOOT:-1} BOOTS=${VMTEST_BOOTS:-1} GUEST=${VMTEST_GUEST:-} IMAGE=${VMTEST_IMAGE:-}
export VMTEST_OUT=/vmtest/out
