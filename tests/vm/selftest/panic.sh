#!/bin/bash
# The kernel dies.
# images: debian12
# variant: base
# timeout: 30
. /vmtest/lib/assert.sh
mark "about to die"
sleep 1
echo c >/proc/sysrq-trigger
