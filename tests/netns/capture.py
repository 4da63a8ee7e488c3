# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets as they passed an interface of the gateway: the independent truth."""
import collections
import socket
import struct

ETH_P_ALL = 3
SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
PACKET_OUTGOING = 4
ICMP, TCP, UDP, ICMPV6, UDPLITE = 1, 6, 17, 58, 136
ECHO = {(ICMP, 8): 8, (ICMP, 0): 8, (ICMPV6, 128): 128, (ICMPV6, 129): 128}

# Addresses are text; sport and dport of an echo are its id; size is of the IP
# packet; mark is what tells the packet on both sides of the NAT.
Packet = collections.namedtuple("Packet", "ns family proto src sport dst dport size mark")


def _ports(proto, l4):
    """(sport, dport, what recognises the packet) or None for no flow."""
    if proto == TCP:
        sport, dport, seq = struct.unpack_from(">HHI", l4)
        return sport, dport, (seq, l4[13] & 0x17)
    if proto in (UDP, UDPLITE):
        sport, dport = struct.unpack_from(">HH", l4)
        return sport, dport, l4[8:]
    if proto in (ICMP, ICMPV6):
        if (proto, l4[0]) not in ECHO:
            return None
        return (struct.unpack_from(">H", l4, 4)[0],) * 2 + (l4[6:],)
    return 0, 0, l4


def parse(frame, ns):
    """A frame as a Packet, or None when it belongs to no flow."""
    kind, = struct.unpack_from(">H", frame, 12)
    ip = frame[14:]
    if kind == 0x0800:
        size, = struct.unpack_from(">H", ip, 2)
        family, proto, head = socket.AF_INET, ip[9], (ip[0] & 15) * 4
        src, dst = ip[12:16], ip[16:20]
    elif kind == 0x86DD:
        size = struct.unpack_from(">H", ip, 4)[0] + 40
        family, proto, head = socket.AF_INET6, ip[6], 40
        src, dst = ip[8:24], ip[24:40]
    else:
        return None
    ports = _ports(proto, ip[head:size]) if proto else None
    if ports is None:
        return None
    return Packet(ns, family, proto, socket.inet_ntop(family, src), ports[0],
                  socket.inet_ntop(family, dst), ports[1], size, ports[2])


class Capture:
    """A packet socket on one interface."""

    def __init__(self, lab, ns, device):
        self.sock = lab.socket(ns, socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind((device, ETH_P_ALL))
        self.sock.setblocking(False)

    def packets(self):
        """Everything captured so far; closes the socket."""
        found = []
        while True:
            try:
                frame, control, _, origin = self.sock.recvmsg(65600, 64)
            except BlockingIOError:
                break
            if origin[0] == "lo" and origin[2] == PACKET_OUTGOING:  # will come in, too
                continue
            sec, nsec = struct.unpack("qq", control[0][2])
            packet = parse(frame, sec * 10**9 + nsec)
            if packet:
                found.append(packet)
        self.sock.close()
        return found
