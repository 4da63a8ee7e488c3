#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the recordings data/gen-*.pcap: conntrack events in the shapes that
kernels give them.  Run by hand when a shape is added; the files are committed.
"""
import os
import socket
import struct

T0 = 1700000000 * 10**9
TCP, UDP, UDPLITE, SCTP, DCCP, ICMP, ICMPV6, GRE, ESP = 6, 17, 136, 132, 33, 1, 58, 47, 50
NESTED = 0x8000
NEW, UPDATE, DESTROY = (0x100, 0x600), (0x100, 0), (0x102, 0)


class Order:
    """How the recording machine stores numbers."""

    def __init__(self, big):
        self.c = '>' if big else '<'

    def attr(self, kind, payload):
        data = struct.pack(self.c + 'HH', 4 + len(payload), kind) + payload
        return data + b'\0' * (-len(data) % 4)

    def nest(self, kind, *attrs):
        return self.attr(kind | NESTED, b''.join(attrs))

    def message(self, event, family, attrs, pid=0):
        body = struct.pack('>BBH', family, 0, 0) + b''.join(attrs)
        head = struct.pack(self.c + 'IHHII', 16 + len(body), event[0], event[1], 0, pid)
        return head + body


def u8(x):
    return struct.pack('>B', x)


def u16(x):
    return struct.pack('>H', x)


def u32(x):
    return struct.pack('>I', x)


def u64(x):
    return struct.pack('>Q', x)


class Flow:
    """One flow; src and dst are (address, port or ICMP id)."""

    def __init__(self, proto, src, dst, rsrc=None, rdst=None, **more):
        self.proto, self.src, self.dst = proto, src, dst
        self.rsrc, self.rdst = rsrc or dst, rdst or src
        self.ident, self.status, self.mark = 0x1000, 0x38e, 0
        self.start, self.stop = T0, T0 + 35 * 10**9
        self.packets, self.octets = (5, 3), (320, 2000)
        self.icmp = (8, 0) if proto == ICMP else (128, 0)
        self.state, self.left, self.pid = None, None, 0
        self.zone = self.zone_orig = self.zone_reply = None
        self.labels = self.helper = self.secctx = self.master = None
        self.__dict__.update(more)
        self.family = socket.AF_INET6 if ':' in src[0] else socket.AF_INET


class Kernel:
    """What a kernel puts into its messages."""

    def __init__(self, acct=True, timestamp=True, timeout=True, state=True, event_time=False,
                 big=False, old_counters=False):
        self.__dict__.update(locals())
        self.o = Order(big)

    def l4(self, f, a, b, reply):
        o = self.o
        if f.proto in (ICMP, ICMPV6):
            first = 4 if f.proto == ICMP else 7
            kind = f.icmp[0]
            if reply:
                kind = {8: 0, 13: 14, 128: 129}.get(kind, kind)
            return [o.attr(first, u16(a)), o.attr(first + 1, u8(kind)),
                    o.attr(first + 2, u8(f.icmp[1]))]
        if f.proto == ESP:
            return []
        return [o.attr(2, u16(a)), o.attr(3, u16(b))]

    def tuple(self, kind, f, src, dst, zone=None):
        o = self.o
        first = 1 if f.family == socket.AF_INET else 3
        port_a, port_b = src[1], dst[1]
        if f.proto in (ICMP, ICMPV6):
            port_a = f.src[1]
        attrs = [o.nest(1, o.attr(first, socket.inet_pton(f.family, src[0])),
                        o.attr(first + 1, socket.inet_pton(f.family, dst[0]))),
                 o.nest(2, o.attr(1, u8(f.proto)), *self.l4(f, port_a, port_b, kind == 2))]
        if zone is not None:
            attrs.append(o.attr(3, u16(zone)))
        return o.nest(kind, *attrs)

    def counters(self, kind, f, i):
        o = self.o
        if self.old_counters:
            return o.nest(kind, o.attr(3, u32(f.packets[i] & 0xffffffff)),
                          o.attr(4, u32(f.octets[i] & 0xffffffff)))
        return o.nest(kind, o.attr(1, u64(f.packets[i])), o.attr(2, u64(f.octets[i])))

    def protoinfo(self, f, destroy):
        o = self.o
        more = []
        if f.proto == TCP:
            if not destroy:
                more = [o.attr(2, u8(7)), o.attr(3, u8(9)), o.attr(4, b'\x0a\0'),
                        o.attr(5, b'\x0b\0')]
            return o.nest(4, o.nest(1, o.attr(1, u8(f.state)), *more))
        if f.proto == DCCP:
            if not destroy:
                more = [o.attr(2, u8(0)), o.attr(3, u64(0x123456789a))]
            return o.nest(4, o.nest(2, o.attr(1, u8(f.state)), *more))
        if not destroy:
            more = [o.attr(2, u32(0xdeadbeef)), o.attr(3, u32(0x01020304))]
        return o.nest(4, o.nest(3, o.attr(1, u8(f.state)), *more))

    def head(self, f):
        o = self.o
        a = [self.tuple(1, f, f.src, f.dst, f.zone_orig),
             self.tuple(2, f, f.rsrc, f.rdst, f.zone_reply)]
        if f.zone is not None:
            a.append(o.attr(18, u16(f.zone)))
        return a

    def destroy(self, f):
        o = self.o
        a = self.head(f) + [o.attr(12, u32(f.ident)), o.attr(3, u32(f.status | 0x200))]
        if f.left and self.timeout:
            a.append(o.attr(7, u32(f.left)))
        if self.acct:
            a += [self.counters(9, f, 0), self.counters(10, f, 1)]
        if self.timestamp:
            a.append(o.nest(20, o.attr(1, u64(f.start)), o.attr(2, u64(f.stop))))
        if f.state is not None and self.state:
            a.append(self.protoinfo(f, True))
        if f.mark:
            a.append(o.attr(8, u32(f.mark)))
        if self.event_time:
            a.append(o.attr(27, u64(f.stop + 5000)))
        return o.message(DESTROY, f.family, a, f.pid)

    def alive(self, f, event):
        o = self.o
        a = self.head(f) + [o.attr(12, u32(f.ident)), o.attr(3, u32(f.status)),
                            o.attr(7, u32(f.left or 30))]
        if f.state is not None:
            a.append(self.protoinfo(f, False))
        if f.helper:
            a.append(o.nest(5, o.attr(1, f.helper.encode() + b'\0')))
        if f.mark:
            a.append(o.attr(8, u32(f.mark)))
        if f.secctx:
            a.append(o.nest(19, o.attr(1, f.secctx.encode() + b'\0')))
        if f.labels:
            a.append(o.attr(22, f.labels))
        if f.master:
            a.append(self.tuple(14, f.master, f.master.src, f.master.dst))
        if self.event_time:
            a.append(o.attr(27, u64(f.start - 3000)))
        return o.message(event, f.family, a, f.pid)


def write(name, packets, big=False, nsec=True, cut=0):
    """packets: (ns, nsid or None, bytes)"""
    c = '>' if big else '<'
    out = struct.pack(c + 'IHHiIII', 0xa1b23c4d if nsec else 0xa1b2c3d4, 2, 4, 0, 0, 262144, 253)
    for ns, nsid, data in packets:
        addr = b'\0' * 8 if nsid is None else struct.pack('>i4x', nsid)
        data = struct.pack('>HHH', 4, 824, 0 if nsid is None else 4) + addr + u16(12) + data
        frac = ns % 10**9 // (1 if nsec else 1000)
        out += struct.pack(c + 'IIII', ns // 10**9, frac, len(data), len(data)) + data
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data', name)
    with open(path, 'wb') as f:
        f.write(out[:len(out) - cut])


V4C, V4S, V4N = '192.0.2.2', '198.51.100.2', '198.51.100.1'
V6C, V6S = '2001:db8:1::2', '2001:db8:2::2'


def usual():
    """What a NAT gateway sees: TCP, UDP and ICMP over IPv4 and IPv6."""
    s = 10**9
    return [
        Flow(TCP, (V4C, 40001), (V4S, 80), (V4S, 80), (V4N, 61234), ident=1, state=7,
             status=0x39e, start=T0 + 123456789, stop=T0 + 125 * s),
        Flow(TCP, (V4C, 40002), (V4N, 8080), (V4S, 80), (V4C, 40002), ident=2, state=3,
             status=0x3ae, left=431000, pid=4711, mark=0x42, stop=T0 + 5000 * s),
        Flow(TCP, (V4C, 40004), (V4S, 81), ident=3, state=8, left=119, status=0x188,
             packets=(1, 1), octets=(60, 40), stop=T0 + 1000000),
        Flow(UDP, (V4C, 41001), (V4S, 53), ident=4, status=0x38a, packets=(1, 1),
             octets=(71, 135)),
        Flow(UDP, (V4C, 41005), ('198.51.100.9', 9), ident=5, status=0x188,
             packets=(1, 0), octets=(128, 0), stop=T0 + 30 * s),
        Flow(ICMP, (V4C, 15967), (V4S, 0), ident=6, packets=(3, 3), octets=(252, 252)),
        Flow(TCP, (V6C, 40003), (V6S, 443), ident=7, state=8, status=0x38e,
             packets=(2**33, 9), octets=(2**42 + 1, 999)),
        Flow(UDP, (V6C, 41002), (V6S, 53), ident=0xfffffff0, status=0x38e,
             stop=T0 + 200 * s),
        Flow(ICMPV6, (V6C, 77), (V6S, 0), ident=8, packets=(2, 2), octets=(208, 208)),
    ]


def special():
    s = 10**9
    ftp = Flow(TCP, (V4C, 40006), (V4S, 21), ident=20, state=3, helper='ftp', left=432000)
    return [
        ftp,
        Flow(TCP, (V4C, 40007), (V4S, 2020), ident=21, state=7, status=0x38f, master=ftp,
             stop=T0 + 130 * s),
        Flow(UDPLITE, (V4C, 5004), (V4S, 5005), ident=22),
        Flow(SCTP, (V4C, 5000), (V4S, 5001), ident=23, state=4, stop=T0 + 300 * s),
        Flow(SCTP, (V6C, 5000), (V6S, 5001), ident=24, state=7),
        Flow(DCCP, (V4C, 5002), (V4S, 5003), ident=25, state=7, stop=T0 + 300 * s),
        Flow(GRE, (V4C, 7), (V4S, 8), ident=26, status=0x188),
        Flow(ESP, (V4C, 0), (V4S, 0), ident=27, stop=T0 + 700 * s),
        Flow(ICMP, (V4C, 1), (V4S, 0), ident=28, icmp=(13, 0)),
        Flow(UDP, (V4C, 1), (V4S, 2), ident=29, zone=700, stop=T0 + 150 * s),
        Flow(UDP, (V4C, 1), (V4S, 2), ident=30, zone_orig=5, stop=T0 + 150 * s),
        Flow(UDP, (V4C, 1), (V4S, 2), ident=31, zone_reply=6, stop=T0 + 150 * s),
        Flow(TCP, (V4C, 3), (V4S, 4), ident=32, state=4, labels=bytes(range(16)),
             secctx='system_u:object_r:unlabeled_t:s0', mark=0xffffffff, stop=T0 + 150 * s),
        Flow(TCP, (V4C, 5), (V4S, 6), ident=33, state=7, status=0x438e, stop=T0 + 150 * s),
    ]


def life(kernel, flows, nsids=(None,)):
    """NEW of each flow, an UPDATE of some, then their DESTROYs."""
    out = []
    for i, f in enumerate(flows):
        out.append((f.start + 40000, nsids[i % len(nsids)], kernel.alive(f, NEW)))
        if f.state is not None:
            out.append((f.start + 90000, nsids[i % len(nsids)], kernel.alive(f, UPDATE)))
    for i, f in enumerate(flows):
        out.append((f.stop + 2 * 10**9 + i * 1000, nsids[i % len(nsids)], kernel.destroy(f)))
    return sorted(out, key=lambda packet: packet[0])


def main():
    shapes = {
        '5.10': Kernel(timeout=False, state=False),
        '6.1': Kernel(),
        '6.12': Kernel(),
        '6.18': Kernel(event_time=True),
        'bare': Kernel(acct=False, timestamp=False),
        '2.6': Kernel(timestamp=False, timeout=False, state=False, old_counters=True),
    }
    for name, kernel in shapes.items():
        flows = usual()
        if name == '6.12':  # namespaces
            write('gen-6.12.pcap', life(kernel, flows, (None, 0, 77)))
        else:
            write('gen-%s.pcap' % name, life(kernel, flows))
    new = Kernel(event_time=True)
    write('gen-special.pcap', life(new, special()))
    big = Kernel(event_time=True, big=True)
    write('gen-big-endian.pcap', life(big, usual() + special(), (None, 3)), big=True,
          nsec=False)
    # several messages in one packet, other messages among them, a damaged one
    flows = usual()
    done = struct.pack('<IHHII', 20, 3, 2, 9, 0) + bytes(4)
    bad = bytearray(new.destroy(flows[3]))
    bad[20:22] = struct.pack('<H', 9000)
    write('gen-several.pcap', [
        (T0, None, b''.join(new.alive(f, UPDATE) for f in flows[:4]) + done),
        (T0 + 1, None, bytes(bad)),
        (T0 + 2, None, b''.join(new.destroy(f) for f in flows[:4])),
    ])
    write('gen-truncated.pcap', life(new, usual()), cut=33)


if __name__ == '__main__':
    main()
