# SPDX-License-Identifier: BSD-2-Clause
"""Programs that are measured on this machine itself, not in a guest."""

import json
import subprocess

from .guests import OUT, REPO, HarnessError, say


def build(target):
    """An optimised program, in a build directory of its own."""
    directory = OUT.parent / "bench"
    for command in (
        ["cmake", "-S", REPO, "-B", directory, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DRDMABOOT_BENCH=ON",
         "-DRDMABOOT_TESTS=OFF", "-DRDMABOOT_CCACHE=ON"],
        ["cmake", "--build", directory, "--target", target],
    ):  # fmt: skip
        done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            say(done.stdout)
            raise HarnessError(f"{command[0]} failed")
    return next(path for path in directory.glob(f"**/{target}") if path.is_file())


def micro(target, runs):
    """Builds and runs a google benchmark: its benchmarks by name (the medians where there are repetitions), and all it said.
    The program's plain-number form of the time is of its Debian 12 version; newer ones take it too."""
    command = [build(target), "--benchmark_format=json", f"--benchmark_repetitions={runs}", "--benchmark_min_time=0.05"]
    raw = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["benchmarks"]
    wanted = "median" if runs > 1 else None
    return {one["run_name"]: one for one in raw if one.get("aggregate_name") == wanted}, raw
