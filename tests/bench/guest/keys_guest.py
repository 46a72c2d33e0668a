# SPDX-License-Identifier: BSD-2-Clause
"""Guest half of the benchmark of keys: PUTs into a sink whose key is made in each of the engine's ways, by turns, over
soft-RoCE and over soft-iWARP (which has no windows)."""

import json
import os
import pathlib
import subprocess

PROGRAM = "/usr/local/bin/engine_keys"
HERE, THERE, NETDEV = "10.9.0.9@o2ib", "10.9.0.1@o2ib", "v0a"
WAYS = {"rxe": ("window", "registration", "copy", "copy-alone"), "siw": ("registration", "copy-alone")}
# PUTs a run, so that each takes half a second or less when emulated.
COUNTS = {4096: 200, 16384: 200, 32768: 100, 65536: 100, 131072: 50, 262144: 50, 1048576: 20}
LIMIT = 120


def sh(script):
    """A script that has to succeed, with what the scenarios have; its output."""
    # siw counts what is registered against this limit; a service has 8 MiB.
    whole = f". /vmtest/lib/assert.sh; ulimit -l unlimited; {script}"
    return subprocess.run(["bash", "-ec", whole], check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT).stdout


def main():
    """Writes result.json."""
    sh("boot_finished; modprobe ib_uverbs; modprobe rdma_ucm; udevadm settle")
    values = {}
    for kind, ways in WAYS.items():
        sh(f"link_add {kind}0 {kind}; ip address add 10.9.0.9/24 dev {NETDEV} 2>/dev/null || true; wait_device {kind}0")
        for _ in range(int(os.environ.get("VMTEST_RUNS", "5"))):
            for size, count in COUNTS.items():
                for way in ways:
                    time = float(sh(f"{PROGRAM} put {HERE} {THERE} {way} {size} {count}"))
                    values.setdefault(f"{kind}_{way}_{size}", []).append(time)
        sh(f"link_del {kind}0")
    result = {"kernel": os.uname().release, "values": values}
    (pathlib.Path(os.environ["VMTEST_OUT"]) / "result.json").write_text(json.dumps(result), encoding="ascii")


main()
