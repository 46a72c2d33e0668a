#!/bin/bash
# The scenario hangs in a process that cannot be killed.
# images: debian12
# variant: base
# timeout: 10
. /vmtest/lib/assert.sh
mark "about to hang"
modprobe rdmaboot_test_hang
