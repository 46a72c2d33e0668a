#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Listens on and connects to RDMA addresses through librdmacm, and tells how long that took.

rdmacm.py listen ADDRESS FIRST-PORT COUNT   COUNT listeners; prints the milliseconds, then waits for the end of its input
rdmacm.py churn ADDRESS PORT SECONDS        listens and closes again and again; prints how often
rdmacm.py connect ADDRESS PORT              prints "MILLISECONDS ok" or "MILLISECONDS ERROR" of rdma_connect() alone
"""

import ctypes
import errno
import os
import socket
import struct
import sys
import time

LIBRARY = ctypes.CDLL("librdmacm.so.1", use_errno=True)
RDMA_PS_TCP = 0x0106
IBV_QPT_RC = 2
PATIENCE_MS = 5000


class QpInitAttributes(ctypes.Structure):
    """struct ibv_qp_init_attr; without completion queues librdmacm makes them."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("qp_context", "send_cq", "recv_cq", "srq")),
        *((name, ctypes.c_uint32) for name in ("send_wr", "recv_wr", "send_sge", "recv_sge", "inline")),
        *((name, ctypes.c_int) for name in ("qp_type", "sq_sig_all")),
    ]


def call(name, *arguments):
    """Calls a function of librdmacm that returns 0 or sets errno."""
    if getattr(LIBRARY, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def address(host, port):
    """A sockaddr as bytes."""
    if ":" in host:
        return struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, socket.inet_pton(socket.AF_INET6, host), 0)
    return struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), socket.inet_aton(host))


def create(channel):
    """A new id; without a channel its calls block until their event."""
    made = ctypes.c_void_p()
    call("rdma_create_id", channel, ctypes.byref(made), None, RDMA_PS_TCP)
    return made


def listen(channel, host, port):
    """A listening id."""
    made = create(channel)
    call("rdma_bind_addr", made, address(host, port))
    call("rdma_listen", made, 8)
    return made


def connect(host, port):
    """Connects once, prints the time of the call that asks the port mapper."""
    made = create(None)
    call("rdma_resolve_addr", made, None, address(host, port), PATIENCE_MS)
    call("rdma_resolve_route", made, PATIENCE_MS)
    attributes = QpInitAttributes(send_wr=1, recv_wr=1, send_sge=1, recv_sge=1, qp_type=IBV_QPT_RC)
    call("rdma_create_qp", made, None, ctypes.byref(attributes))
    started = time.monotonic()
    result = "ok"
    try:
        call("rdma_connect", made, None)
    except OSError as error:
        result = errno.errorcode.get(error.errno, str(error.errno))
    print(round((time.monotonic() - started) * 1000), result, flush=True)
    if result == "ok":
        LIBRARY.rdma_disconnect(made)
    LIBRARY.rdma_destroy_qp(made)
    LIBRARY.rdma_destroy_id(made)


def main():
    """See above."""
    verb, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    LIBRARY.rdma_create_event_channel.restype = ctypes.c_void_p
    if verb == "connect":
        connect(host, port)
        return
    channel = ctypes.c_void_p(LIBRARY.rdma_create_event_channel())
    started = time.monotonic()
    if verb == "listen":
        kept = [listen(channel, host, port + i) for i in range(int(sys.argv[4]))]
        print(round((time.monotonic() - started) * 1000), len(kept), flush=True)
        sys.stdin.read()
    elif verb == "churn":
        count = 0
        while time.monotonic() - started < float(sys.argv[4]):
            LIBRARY.rdma_destroy_id(listen(channel, host, port))
            count += 1
        print(count, flush=True)
    else:
        sys.exit(__doc__)


main()
