#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends port-mapper datagrams with made-up sources as fast as a packet socket's ring takes them.

flood.py INTERFACE DESTINATION PORT SECONDS [RATE]
                                              frames leave by INTERFACE for the other end of its veth pair, which has
                                              DESTINATION; a third ask for PORT, a third for ports that nobody has, the
                                              rest is rubbish of all lengths; RATE: not more of them a second.
                                              Prints datagrams sent a second.
"""

import mmap
import pathlib
import random
import socket
import struct
import sys
import time

ETHERTYPE = 0x0800
MAPPER = 3935
# linux/socket.h: SOL_PACKET. linux/if_packet.h: PACKET_TX_RING, TP_STATUS_SEND_REQUEST; a frame's header is a struct tpacket_hdr, aligned.
SOL_PACKET = 263
PACKET_TX_RING = 13
SEND_REQUEST = 1
DATA_AT = 32
FRAME = 2048
FRAMES = 4096
TICK = 0.02


def checksum(data):
    """Of an IPv4 header."""
    total = sum(struct.unpack("!10H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def request(source, destination, port):
    """A REQ datagram."""
    zeros = bytes(12)
    head = struct.pack("!BBHHHQ", 4, 0, 5000, port, random.randrange(1024, 65536), random.getrandbits(64))
    return head + source + zeros + destination + zeros + source + zeros


def frame(macs, destination, port, number):
    """An Ethernet frame; sources are all of 10.8.0.0/16, one of 256 has its first address."""
    source = bytes((10, 8, random.randrange(256), random.randrange(256))) if number % 256 else bytes((10, 8, 0, 1))
    kind = number % 3
    if kind == 2:
        payload = random.randbytes(random.randrange(1400))
    else:
        payload = request(source, destination, port if kind == 0 else random.randrange(1024, 65536))
    udp = struct.pack("!HHHH", random.randrange(1024, 65536), MAPPER, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0, source, destination)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return macs + struct.pack("!H", ETHERTYPE) + ip + udp


def main():
    """See above."""
    interface, destination, port, seconds = sys.argv[1], socket.inet_aton(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    random.seed(interface)
    # The other end of the pair: "v0b" for "v0a", as link_add makes them, and the other way round.
    other = interface[:-1] + ("a" if interface.endswith("b") else "b")
    macs = b"".join(
        bytes.fromhex(pathlib.Path(f"/sys/class/net/{name}/address").read_text(encoding="ascii").replace(":", ""))
        for name in (other, interface)
    )
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.setsockopt(SOL_PACKET, PACKET_TX_RING, struct.pack("IIII", FRAME * FRAMES, 1, FRAME, FRAMES))
        sock.bind((interface, 0))
        ring = mmap.mmap(sock.fileno(), FRAME * FRAMES, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        for number in range(FRAMES):
            data = frame(macs, destination, port, number)
            at = number * FRAME
            struct.pack_into("@LII", ring, at, 0, len(data), 0)
            ring[at + DATA_AT : at + DATA_AT + len(data)] = data
        at_once = min(int(float(sys.argv[5]) * TICK), FRAMES) if len(sys.argv) > 5 else FRAMES
        sent = 0
        started = time.monotonic()
        while (now := time.monotonic()) - started < seconds:
            if at_once < FRAMES and sent / at_once * TICK > now - started:
                time.sleep(TICK / 2)
                continue
            # The status of each frame is its first byte; one call sends all that ask for it, in the ring's order.
            for number in range(sent, sent + at_once) if at_once < FRAMES else ():
                ring[number % FRAMES * FRAME] = SEND_REQUEST
            if at_once == FRAMES:
                ring[0 : FRAME * FRAMES : FRAME] = bytes([SEND_REQUEST]) * FRAMES
            sock.send(b"")
            sent += at_once
        print(round(sent / (time.monotonic() - started)), flush=True)


main()
