#!/bin/sh
# Runs in every initrd (guest-init calls it in the guests' own), after the root file system is mounted and before PID 1
# of the real system starts. The harness appends a second cpio archive to the initrd; it holds /vmtest-overlay (the
# harness's own files and the scenario, copied at every boot) and /vmtest-early (the scenario's early files, copied at
# the first boot only, so that a scenario may change them and find its changes after a reboot).
case ${1:-} in
prereqs)
    echo
    exit 0
    ;;
esac
[ -d /vmtest-overlay ] && cp -a /vmtest-overlay/. "${rootmnt:?}/"
if [ -d /vmtest-early ] && ! [ -e "${rootmnt:?}/vmtest/early-files-are-here" ]; then
    cp -a /vmtest-early/. "${rootmnt:?}/"
    : >"${rootmnt:?}/vmtest/early-files-are-here"
fi
exit 0
