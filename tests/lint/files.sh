# shellcheck shell=bash
# SPDX-License-Identifier: BSD-2-Clause
# Sourced by the lints: which files are ours.

# list_files SOURCE-DIR: what git tracks or would track, NUL-separated, relative to SOURCE-DIR; without
# git (a package's source) everything but build directories.
list_files() {
    if git -c safe.directory="$1" -C "$1" rev-parse --git-dir >/dev/null 2>&1; then
        # a file that was removed but not yet committed is still listed
        git -c safe.directory="$1" -C "$1" ls-files -z --cached --others --exclude-standard |
            while IFS= read -r -d '' file; do
                [[ ! -f $1/$file ]] || printf '%s\0' "$file"
            done
    else
        (cd "$1" && find . -type f ! -path './build/*' ! -path './debian/*' -printf '%P\0')
    fi
}

# need TOOL: ends the test as failed when a tool is missing that tools/setup installs.
need() {
    if ! command -v "$1" >/dev/null; then
        echo "$1 is not installed: run tools/setup" >&2
        exit 1
    fi
}
