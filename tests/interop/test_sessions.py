#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX sessions that break: collectors that go away, come back, come late.

Every flow arrives, each session is a valid one of its own (templates first,
sequence from 0), and a UDP collector that was not there costs nothing but
what was sent meanwhile.
"""
import itertools
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import captured  # noqa: E402
import formats  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from sinks import UdpSink  # noqa: E402

NS, FLOWS = "sessions", 3000
RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds
TEMPLATE_SET = b"\0\2"  # behind the message header


def burst(lab, flood):
    lab.run(NS, flood, str(FLOWS))
    lab.run(NS, "conntrack", "-F")


def listen(lab):
    s = lab.socket(NS, socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 4739))
    s.listen()
    s.settimeout(100)
    return s


def read(peer, flows):
    """Reads until that many flows are whole; the bytes."""
    peer.settimeout(100)
    got = b""
    while len(list(formats.ipfix(whole(got)))) < flows:
        part = peer.recv(1 << 20)
        if not part:
            raise AssertionError("closed early")
        got += part
    return got


def whole(data):
    """The whole messages of what has been read so far."""
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at + 2:at + 4], "big") <= len(data):
        at += int.from_bytes(data[at + 2:at + 4], "big")
    return data[:at]


def identity(rows):
    return {(r.src, r.sport, r.dst, r.dport, r.start) for r in rows}


def tcp_sessions(lab, tmp, flood):
    """Ends of two kinds, then a late collector; no flow may be missing."""
    server = listen(lab)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, ["ct1:NFCT,out1:IPFIX"], {
        "out1": 'oid=7\nhost=127.0.0.1\nport=4739\nproto=tcp\nreconnect=100ms\n'}))
    daemon.start()
    sessions = []
    for end in ("closed", "reset", "late", "last"):
        if end == "late":  # nobody listens while the flows end
            server.close()
            burst(lab, flood)
            server = listen(lab)
        peer, _ = server.accept()
        if end != "late":
            burst(lab, flood)
        # what a reset may have cost comes again
        sessions.append(read(peer, 2 * FLOWS if end == "late" else FLOWS))
        if end == "reset":
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        peer.close()
    server.close()
    daemon.stop()
    problems = []
    seen = set()
    for i, data in enumerate(sessions):
        captured.keep(f"tcp session {i}", "tcp", data, torn=True)
        seen |= identity(formats.ipfix(whole(data)))
    print(f"TCP: {len(sessions)} sessions, {len(seen)} distinct flows")
    if len(seen) != len(sessions) * FLOWS:
        problems.append(f"TCP: {len(seen)} distinct flows of {len(sessions) * FLOWS}")
    return problems


def udp_refused(lab, tmp, flood):
    """Nobody on the port at first (ICMP errors); later somebody is."""
    os.mkdir(f"{tmp}/udp")
    daemon = Daemon(lab, NS, f"{tmp}/udp", configuration(
        f"{tmp}/udp", ["ct1:NFCT,out1:IPFIX"], {
            "out1": 'oid=7\nhost=127.0.0.1\nport=4740\nproto=udp\nmtu=1400\n'
                    'send_template=always\nreconnect=100ms\n'}))
    daemon.start()
    for _ in range(3):
        burst(lab, flood)
    daemon.wait_log("refuses")
    sink = UdpSink(lab, NS, 4740, late=True)

    def rows():
        # the first to arrive may be the rest of a frame whose templates were refused
        return list(formats.ipfix(b"".join(itertools.dropwhile(
            lambda d: d[16:18] != TEMPLATE_SET, sink.messages()))))

    def arrived():
        burst(lab, flood)
        return len(rows()) >= FLOWS
    until("flows", arrived, step=1)
    if daemon.child.poll() is not None:
        return [f"UDP: it ended: {daemon.words()}"]
    daemon.stop()
    print(f"UDP: {len(rows())} flows in {len(sink.datagrams)} datagrams")
    return []


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    flood = labs.helper("flood", tmp)
    return tcp_sessions(lab, tmp, flood) + udp_refused(lab, tmp, flood)


scene.main(test)
