# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings for REPLAY, made without a kernel: pcap of ended UDP flows."""
import socket
import struct

NETLINK = 253
NESTED = 0x8000


def attribute(kind, data):
    length = 4 + len(data)
    return struct.pack("=HH", length, kind) + data + b"\0" * (-length % 4)


def nest(kind, *parts):
    return attribute(kind | NESTED, b"".join(parts))


def tuple_of(kind, src, sport, dst, dport):
    return nest(kind, nest(1, attribute(1, socket.inet_aton(src)),
                           attribute(2, socket.inet_aton(dst))),
                nest(2, attribute(1, b"\x11"), attribute(2, struct.pack(">H", sport)),
                     attribute(3, struct.pack(">H", dport))))


def counters(kind, packets, octets):
    return nest(kind, attribute(1, struct.pack(">Q", packets)),
                attribute(2, struct.pack(">Q", octets)))


def destroy(i, start_ns):
    """DESTROY of flow i: 10.0.0.1:1000+i to 10.0.0.2:53."""
    port = 1000 + i % 60000
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += tuple_of(1, "10.0.0.1", port, "10.0.0.2", 53)
    body += tuple_of(2, "10.0.0.2", 53, "10.0.0.1", port)
    body += attribute(3, struct.pack(">I", 0x20A)) + attribute(12, struct.pack(">I", i + 1))
    body += counters(9, 1, 28 + i % 1000) + counters(10, 1, 100)
    body += nest(20, attribute(1, struct.pack(">Q", start_ns)),
                 attribute(2, struct.pack(">Q", start_ns + 30_000_000_000)))
    return struct.pack("=IHHII", 16 + len(body), 0x0102, 0, 0, 0) + body


def write(path, count, cut=0, start=1_790_000_000):
    """count flows, one a millisecond; the last `cut` bytes are missing."""
    parts = [struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, NETLINK)]
    for i in range(count):
        ns = start * 10**9 + i * 1_000_000
        packet = struct.pack(">HH10xH", 4, 824, 12) + destroy(i, ns)
        at = ns + 31 * 10**9
        parts.append(struct.pack("=IIII", at // 10**9, at % 10**9, len(packet), len(packet)))
        parts.append(packet)
    data = b"".join(parts)
    with open(path, "wb") as f:
        f.write(data[:len(data) - cut])
    return path
