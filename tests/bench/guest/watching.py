# SPDX-License-Identifier: BSD-2-Clause
"""When device nodes appear and can be opened: a process that sleeps in inotify, and wakes before everything else."""

import ctypes
import json
import os
import select
import struct
import time

LIBC = ctypes.CDLL(None, use_errno=True)
IN_CREATE = 0x100
HEADER = struct.Struct("iIII")
READ_BYTES = 65536
# Above all ordinary tasks, so that the time it notes is the time of the event.
PRIORITY = 50


class Watcher:
    """A child process that notes when names appear in /dev/infiniband (which need not exist yet), and whether they
    can be opened then."""

    def __init__(self, nodes):
        self._nodes = nodes
        reader, writer = os.pipe()
        self._stop_reader, self._stop = os.pipe()
        ready_reader, ready = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
                found = self._watch(ready)
                os.write(writer, json.dumps(found).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.close(ready)
        os.read(ready_reader, 1)
        os.close(ready_reader)
        self._reader = reader

    def _watch(self, ready):
        notify = LIBC.inotify_init1(os.O_CLOEXEC)
        LIBC.inotify_add_watch(notify, b"/dev", IN_CREATE)
        below = LIBC.inotify_add_watch(notify, b"/dev/infiniband", IN_CREATE)
        found = {}
        os.write(ready, b"x")
        while True:
            readable, _, _ = select.select([notify, self._stop_reader], [], [])
            if notify in readable:
                data = os.read(notify, READ_BYTES)
                at = 0
                while at < len(data):
                    _, _, _, size = HEADER.unpack_from(data, at)
                    name = data[at + HEADER.size : at + HEADER.size + size].rstrip(b"\0")
                    at += HEADER.size + size
                    if name == b"infiniband" and below < 0:
                        below = LIBC.inotify_add_watch(notify, b"/dev/infiniband", IN_CREATE)
                self._look(found)
            if self._stop_reader in readable:
                return found

    def _look(self, found):
        for node in self._nodes:
            if node in found:
                continue
            try:
                os.close(os.open(f"/dev/infiniband/{node}", os.O_RDWR))
            except OSError:
                continue
            found[node] = time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6

    def finish(self):
        """Ends the child; returns node to ms since boot of its first successful open."""
        os.write(self._stop, b"x")
        with os.fdopen(self._reader, encoding="ascii") as handle:
            text = handle.read()
        os.waitpid(self._pid, 0)
        os.close(self._stop)
        os.close(self._stop_reader)
        return json.loads(text) if text else {}
