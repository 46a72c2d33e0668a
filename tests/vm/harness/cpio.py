# SPDX-License-Identifier: BSD-2-Clause
"""A writer for the cpio archive ("newc") that the kernel unpacks into the initrd.

Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel's source.
"""

import os
import stat

# Directories that are links on a merged-/usr system: a tree that brings its own would hide the real ones.
MERGED = ("lib", "bin", "sbin", "lib64")


class Writer:
    """Collects files; bytes() gives the archive. Every file belongs to root."""

    def __init__(self):
        self._parts = []
        self._known = set()
        self._inode = 1

    def _add(self, name, mode, data=b""):
        encoded = name.encode() + b"\0"
        fields = [self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self._inode += 1
        self._parts += [header, b"\0" * (-len(header) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name):
        """Adds a directory and those above it, once."""
        if name and name not in self._known:
            self.directory(os.path.dirname(name))
            self._known.add(name)
            self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        """Adds a regular file."""
        self.directory(os.path.dirname(name))
        self._add(name, stat.S_IFREG | mode, data)

    def tree(self, prefix, source):
        """Adds all that is below the directory `source`, under `prefix`; top-level lib, bin and sbin go to /usr."""
        for path in sorted(source.rglob("*")):
            inside = path.relative_to(source).as_posix()
            if inside.split("/")[0] in MERGED:
                inside = f"usr/{inside}"
            self.path(f"{prefix}/{inside}", path)

    def path(self, name, source):
        """Adds one file, link or (empty) directory as it is on this machine."""
        if source.is_symlink():
            self.directory(os.path.dirname(name))
            self._add(name, stat.S_IFLNK | 0o777, os.readlink(source).encode())
        elif source.is_dir():
            self.directory(name)
        else:
            self.file(name, source.read_bytes(), 0o755 if os.access(source, os.X_OK) else 0o644)

    def bytes(self):
        """The finished archive."""
        self._inode = 0
        tail = Writer()
        tail._add("TRAILER!!!", 0)
        return b"".join(self._parts + tail._parts)
