#!/bin/bash
# Runs one benchmark's guest half: the Python file of the name on the kernel command line (vmtest.bench=NAME).
. /vmtest/lib/assert.sh

exec python3 -B "/vmtest/payload/${VMTEST_BENCH:?}_guest.py"
