# SPDX-License-Identifier: GPL-2.0-or-later
"""Known traffic from client to server, and a manifest of what it was.

Everything runs in one thread, one flow after the other.  What each flow sent
is known; what passed the gateway is captured on both sides of its NAT, and
both have to agree before anything is compared with the daemon's records.
"""
import dataclasses
import itertools
import select
import socket
import struct
import time

import capture
from capture import ICMP, ICMPV6, TCP, UDP
from natlab import CLIENT, GATEWAY, SERVER

WAIT = 60.0  # seconds for one answer
RAW_PROTO = 253  # for experiments: conntrack's generic tracker
LINGER_RESET = struct.pack("ii", 1, 0)


@dataclasses.dataclass
class Flow:
    """One expected record.  reply_* is the tuple of the answers."""

    name: str
    family: int
    proto: int
    src: str
    sport: int
    dst: str
    dport: int
    sent_ns: int
    mark: int = 0
    icmp_type: int = None
    icmp_code: int = None
    said: tuple = None  # (packets, bytes, packets, bytes) where known beforehand
    reply_src: str = None
    reply_sport: int = None
    reply_dst: str = None
    reply_dport: int = None
    opkts: int = 0
    obytes: int = 0
    rpkts: int = 0
    rbytes: int = 0
    first_ns: int = 0
    last_ns: int = 0


def overhead(family, l4=8):
    return (20 if family == socket.AF_INET else 40) + l4


class Traffic:
    """Makes flows; manifest() closes the captures and returns the truth."""

    def __init__(self, lab):
        self.lab = lab
        self.flows = []
        self.none = []  # connections that must leave no record
        self.ids = itertools.count(1001)
        self.near = capture.Capture(lab, GATEWAY, "ctl-g0")
        self.far = capture.Capture(lab, GATEWAY, "ctl-g1")

    def _open(self, ns, kind, proto, address, port=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = self.lab.socket(ns, family, kind, proto)
        s.settimeout(WAIT)
        if kind != socket.SOCK_RAW:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((address, port))
        else:
            s.bind((address, 0))
        return s

    def _flow(self, name, proto, local, remote, **more):
        family = socket.AF_INET6 if ":" in local[0] else socket.AF_INET
        flow = Flow(name, family, proto, local[0], local[1], remote[0], remote[1],
                    time.time_ns(), **more)
        self.flows.append(flow)
        return flow

    def udp(self, src, dst, dport, there, back=(), at=None, proto=UDP, mark=0):
        """Datagrams of these sizes each way; at: where the server really is."""
        name = f"udp {src}>{dst}:{dport}".encode()
        at = at or (dst, dport)
        with self._open(CLIENT, socket.SOCK_DGRAM, proto, src) as c, \
                self._open(SERVER, socket.SOCK_DGRAM, proto, *at) as s:
            flow = self._flow(name.decode(), proto, c.getsockname(), (dst, dport), mark=mark)
            over = overhead(flow.family)
            flow.said = (len(there), sum(there) + over * len(there),
                         len(back), sum(back) + over * len(back))
            for size in there:
                c.sendto(name.ljust(size, b".")[:size], (dst, dport))
            if dport == 9:  # dropped there
                return
            for size in there:
                got, peer = s.recvfrom(65536)
                assert len(got) == size
            for size in back:
                s.sendto(b"<" * size, peer)
            for size in back:
                assert len(c.recv(65536)) == size

    def udp_closed(self, src, dst, dport):
        """One datagram to a closed port: an ICMP error, no reply packet."""
        with self._open(CLIENT, socket.SOCK_DGRAM, UDP, src) as c:
            flow = self._flow(f"closed {src}", UDP, c.getsockname(), (dst, dport))
            flow.said = (1, overhead(flow.family) + 6, 0, 0)
            c.sendto(b"closed", (dst, dport))
            time.sleep(0.05)

    def tcp(self, src, dst, dport, there, back, at=None, reset=False):
        """A connection carrying that many bytes each way."""
        with self._open(SERVER, socket.SOCK_STREAM, TCP, *(at or (dst, dport))) as listener, \
                self._open(CLIENT, socket.SOCK_STREAM, TCP, src) as c:
            listener.listen()
            self._flow(f"tcp {src}>{dst}:{dport}", TCP, c.getsockname(), (dst, dport))
            c.connect((dst, dport))
            s, _ = listener.accept()
            with s:
                s.settimeout(WAIT)
                exchange(c, s, b"q" * there, not reset)
                exchange(s, c, b"a" * back, not reset)
                if reset:
                    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
                c.close()
                time.sleep(0.02)

    def tcp_refused(self, src, dst, dport):
        """SYN, RST."""
        with self._open(CLIENT, socket.SOCK_STREAM, TCP, src) as c:
            flow = self._flow(f"refused {src}", TCP, c.getsockname(), (dst, dport))
            flow.said = (1, overhead(flow.family, 40), 1, overhead(flow.family, 20))
            if c.connect_ex((dst, dport)) == 0:
                raise AssertionError("somebody answered")

    def tcp_silent(self, src, dst, dport):
        """One SYN without an answer; closed before it would be repeated."""
        with self._open(CLIENT, socket.SOCK_STREAM, TCP, src) as c:
            c.setblocking(False)
            flow = self._flow(f"silent {src}", TCP, c.getsockname(), (dst, dport))
            flow.said = (1, overhead(flow.family, 40), 0, 0)
            c.connect_ex((dst, dport))
            time.sleep(0.1)

    def tcp_rejected(self, src, dst, dport=9999):
        """Rejected by the gateway before conntrack confirms it: no flow."""
        with self._open(CLIENT, socket.SOCK_STREAM, TCP, src) as c:
            self.none.append((TCP, src, c.getsockname()[1], dst, dport))
            c.connect_ex((dst, dport))

    def ping(self, src, dst, count, size):
        """Echo requests from a raw socket, so that the id is ours."""
        v6 = ":" in src
        proto, kind = (ICMPV6, 128) if v6 else (ICMP, 8)
        ident = next(self.ids)
        with self._open(CLIENT, socket.SOCK_RAW, proto, src) as c:
            flow = self._flow(f"ping {src}", proto, (src, ident), (dst, ident),
                              icmp_type=kind, icmp_code=0)
            total = count * (overhead(flow.family) + size)
            flow.said = (count, total, count, total)
            for seq in range(count):
                body = struct.pack(">BBHHH", kind, 0, 0, ident, seq) + b"p" * size
                c.sendto(body if v6 else checksum(body), (dst, 0))
                wait_echo(c, ident, seq, v6)

    def generic(self, src, dst, there):
        """A protocol conntrack knows nothing about."""
        with self._open(CLIENT, socket.SOCK_RAW, RAW_PROTO, src) as c, \
                self._open(SERVER, socket.SOCK_RAW, RAW_PROTO, dst) as s:
            flow = self._flow(f"generic {src}", RAW_PROTO, (src, 0), (dst, 0))
            flow.said = (len(there), sum(there) + overhead(flow.family, 0) * len(there), 0, 0)
            for size in there:
                c.sendto(b"g" * size, (dst, 0))
                s.recv(65536)

    def manifest(self):
        """Completes the flows from the captures and checks them."""
        near, far = self.near.packets(), self.far.packets()
        later = [f.sent_ns for f in self.flows[1:]] + [time.time_ns()]
        for flow, over in zip(self.flows, later):
            complete(flow, near, far)
            if not flow.sent_ns <= flow.first_ns <= over:
                raise AssertionError(f"{flow.name}: sent at another time than captured")
        return self.flows


def exchange(a, b, data, close):
    """Sends data from a to b and, when asked to, the end of the stream."""
    a.sendall(data)
    if close:
        a.shutdown(socket.SHUT_WR)
    got = 0
    while got < len(data):
        got += len(b.recv(65536))
    if close and b.recv(1):
        raise AssertionError("more than was sent")


def checksum(body):
    words = struct.unpack(f">{len(body) // 2}H", body[:len(body) & ~1])
    total = sum(words) + (body[-1] << 8 if len(body) & 1 else 0)
    total = (total & 0xFFFF) + (total >> 16)
    total = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return body[:2] + struct.pack(">H", total) + body[4:]


def wait_echo(sock, ident, seq, v6):
    end = time.monotonic() + WAIT
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        got = sock.recv(65536)
        icmp = got if v6 else got[20:]
        if icmp[0] in (0, 129) and struct.unpack_from(">HH", icmp, 4) == (ident, seq):
            return
    raise AssertionError("no echo reply")


def complete(flow, near, far):
    """Fills in what was captured of the flow on both sides."""
    there = (flow.proto, flow.src, flow.sport, flow.dst, flow.dport)
    back = (flow.proto, flow.dst, flow.dport, flow.src, flow.sport)
    ours = [p for p in near if (p.proto, p.src, p.sport, p.dst, p.dport) == there]
    theirs = [p for p in near if (p.proto, p.src, p.sport, p.dst, p.dport) == back]
    if flow.proto == RAW_PROTO and flow.src == flow.dst:
        theirs = []
    flow.opkts, flow.obytes = len(ours), sum(p.size for p in ours)
    flow.rpkts, flow.rbytes = len(theirs), sum(p.size for p in theirs)
    times = [p.ns for p in ours + theirs]
    flow.first_ns, flow.last_ns = min(times), max(times)
    twin = next(p for p in far if p.proto == flow.proto and p.mark == ours[0].mark
                and p.size == ours[0].size and p.ns >= ours[0].ns)
    flow.reply_src, flow.reply_sport = twin.dst, twin.dport
    flow.reply_dst, flow.reply_dport = twin.src, twin.sport
    seen = (flow.opkts, flow.obytes, flow.rpkts, flow.rbytes)
    assert flow.said in (None, seen), f"{flow.name}: sent {flow.said}, captured {seen}"


def standard(traffic):
    """The traffic every test compares: both families, all kinds of NAT."""
    for net, srv, gw in (("10.77.1.", "10.77.2.2", "10.77.1.1"),
                         ("fd77:1::", "fd77:2::2", "fd77:1::1")):
        plain, masq, pool = net + "2", net + "3", net + "4"
        traffic.udp(plain, srv, 5000, [100], [200])
        traffic.udp(plain, srv, 5001, [64] * 7, [900, 33, 1200], mark=0x80000042)
        traffic.udp(masq, srv, 5002, [50, 51], [52])
        traffic.udp(pool, srv, 5003, [1400, 77], [78, 79, 80, 81])
        traffic.udp(plain, gw, 5353, [60], [300], at=(srv, 53))
        traffic.udp(masq, gw, 5353, [61], [301], at=(srv, 53))
        traffic.udp(plain, srv, 9, [44, 45, 46])
        traffic.udp_closed(masq, srv, 5999)
        traffic.tcp(plain, srv, 8000, 5000, 20000)
        traffic.tcp(masq, srv, 8001, 100, 30000)
        traffic.tcp(pool, srv, 8002, 12345, 1)
        traffic.tcp(masq, gw, 8080, 700, 7000, at=(srv, 80))
        traffic.tcp(plain, gw, 8080, 10, 10, at=(srv, 80))
        traffic.tcp(plain, srv, 8003, 1000, 1000, reset=True)
        traffic.tcp_refused(plain, srv, 7)
        traffic.tcp_refused(masq, srv, 7)
        traffic.tcp_silent(masq, srv, 9)
        traffic.tcp_rejected(plain, srv)
        traffic.ping(plain, srv, 3, 56)
        traffic.ping(masq, srv, 1, 1000)
        traffic.generic(plain, srv, [40, 41])
