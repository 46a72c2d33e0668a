# SPDX-License-Identifier: BSD-2-Clause
"""Programs that are measured on this machine itself, not in a guest."""

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
