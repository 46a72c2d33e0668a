#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A peer of the port mapper, by hand.

mapper.py ask ADDRESS PORT [SECONDS]   asks for a port once a second, each time with one datagram; prints the milliseconds of
                                       each answer, "none" where there was none within 1 s. Without SECONDS: once
mapper.py lengths ADDRESS              sends a datagram of each length from 0 to 2000 bytes that begins like a request
"""

import random
import socket
import struct
import sys
import time

MAPPER = 3935


def family_of(host):
    """The address family of an address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def request(own, host, port):
    """A REQ datagram."""
    family = family_of(host)
    addresses = [socket.inet_pton(family, text).ljust(16, b"\0") for text in (own, host, own)]
    version = 6 if family == socket.AF_INET6 else 4
    return struct.pack("!BBHHHQ", version, 0, 5000, port, 5000, random.getrandbits(64)) + b"".join(addresses)


def ask(host, port, seconds):
    """See above."""
    end = time.monotonic() + seconds
    while True:
        with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.connect((host, MAPPER))
            started = time.monotonic()
            sock.send(request(sock.getsockname()[0], host, port))
            try:
                answer = sock.recv(64)
                took = time.monotonic() - started
                print(round(took * 1000), {1: "accept", 3: "reject"}[answer[0] >> 4], flush=True)
                if answer[0] >> 4 == 1:
                    sock.send(bytes([answer[0] + 0x10]) + answer[1:])
            except (TimeoutError, ConnectionRefusedError):
                print("none", flush=True)
        left = started + 1 - time.monotonic()
        if time.monotonic() + max(left, 0) >= end:
            return
        time.sleep(max(left, 0))


def lengths(host):
    """See above."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.connect((host, MAPPER))
        sock.settimeout(10)
        start = request(sock.getsockname()[0], host, 1)
        for size in range(2001):
            sock.send((start + bytes(2000))[:size])
            if size == len(start):
                sock.recv(64)
            # All have to arrive: now and then a request that is answered.
            if size % 50 == 0:
                sock.send(start)
                sock.recv(64)


if sys.argv[1] == "ask":
    ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 0)
else:
    lengths(sys.argv[2])
