#!/bin/bash
# The boot hangs: this script never starts.
# images: debian12
# variant: base
# timeout: 10
. /vmtest/lib/assert.sh
mark "cannot be reached"
