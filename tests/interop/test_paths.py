#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX over real paths: small ones, IPv6, own addresses, several collectors.

Beyond a router the path is narrower than mtu says: no packet is fragmented,
and once the router has said so all flows arrive.  nfcapd gets the flows over
IPv4 and IPv6.  Of two collectors one dies: the other has every flow; with
failover the two together have every flow.
"""
import glob
import os
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import formats  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import recording  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, text, until  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

FLOWS, BURST = 3000, 2000
FEW = 300  # as many as nfcapd's socket holds
WIDE, NARROW = 1500, {4: 700, 6: 1280}
FAR = {4: "192.0.2.66", 6: "2001:db8:2::2"}


def veth(lab, a, b, addresses):
    """a and b joined by a veth pair, devices to-b and to-a."""
    lab.run(a, "ip", "link", "add", f"to-{b}", "type", "veth", "peer", "name", f"to-{a}",
            "netns", lab.path(b))
    for ns, other, mine in ((a, b, addresses[0]), (b, a, addresses[1])):
        for address in mine:
            lab.run(ns, "ip", "addr", "add", address, "dev", f"to-{other}", "nodad")
        lab.run(ns, "ip", "link", "set", f"to-{other}", "up")
        lab.no_offload(ns, f"to-{other}")


def build(lab):
    """exp -- router -- far, the second link narrow."""
    for ns in ("exp", "router", "far"):
        lab.add(ns)
        put(lab, ns, "ipv6/conf/default/accept_dad", 0)
        put(lab, ns, "ipv6/conf/all/accept_dad", 0)
    veth(lab, "exp", "router", (["192.0.2.2/26", "192.0.2.3/26", "2001:db8:1::2/64"],
                                ["192.0.2.1/26", "2001:db8:1::1/64"]))
    veth(lab, "router", "far", (["192.0.2.65/26", "2001:db8:2::1/64"],
                                [f"{FAR[4]}/26", f"{FAR[6]}/64"]))
    for path in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        put(lab, "router", path, 1)
    for ns, way in (("exp", 1), ("far", 65)):
        lab.run(ns, "ip", "route", "add", "default", "via", f"192.0.2.{way}")
        lab.run(ns, "ip", "route", "add", "default", "via",
                f"2001:db8:{1 if way == 1 else 2}::1")


    for family, address in FAR.items():  # so that the neighbours know each other
        with lab.socket("exp", socket.AF_INET6 if family == 6 else socket.AF_INET,
                        socket.SOCK_DGRAM) as s:
            s.connect((address, 9))
            until("a neighbour", lambda s=s: refused(s))


def put(lab, ns, path, value):
    with lab.inside(ns), open(f"/proc/sys/net/{path}", "w", encoding="ascii") as f:
        f.write(str(value))


def refused(s):
    """Nobody listens there: who says so has been reached."""
    try:
        s.send(b"")
        time.sleep(0.05)
        s.send(b"")
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


def narrow(lab, family):
    lab.run("router", "ip", "link", "set", "to-far", "mtu", str(NARROW[family]))
    lab.run("far", "ip", "link", "set", "to-router", "mtu", str(NARROW[family]))


class Wire:
    """Packets that reach a device, and what is wrong with them."""

    def __init__(self, lab, ns, device):
        self.sock = lab.socket(ns, socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self.sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
        self.sock.bind((device, 0))
        self.sock.setblocking(False)

    def packets(self):
        while True:
            try:
                data, where = self.sock.recvfrom(1 << 16)
            except BlockingIOError:
                return
            if where[2] != socket.PACKET_OUTGOING:
                yield data

    @staticmethod
    def checksum(data):
        total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        return total

    def complaints(self, most):
        """Of UDP to port 4739: too long, fragments, no DF, bad checksums; how many."""
        bad, count, longest = set(), 0, 0
        for p in self.packets():
            if p[0] >> 4 == 4:
                size, = struct.unpack_from(">H", p, 2)
                flags, = struct.unpack_from(">H", p, 6)
                if flags & 0x3FFF:
                    bad.add("a fragment")
                if p[9] != 17:
                    continue
                if not flags & 0x4000:
                    bad.add("without DF")
                udp, pseudo = p[20:size], p[12:20] + struct.pack(">HH", 17, size - 20)
            else:
                size = struct.unpack_from(">H", p, 4)[0] + 40
                if p[6] == 44:
                    bad.add("a fragment")
                if p[6] != 17:
                    continue
                udp, pseudo = p[40:size], p[8:40] + struct.pack(">II", size - 40, 17)
            if struct.unpack_from(">H", udp, 2)[0] != 4739:
                continue
            count, longest = count + 1, max(longest, size)
            if struct.unpack_from(">H", udp, 6)[0] == 0 or self.checksum(pseudo + udp) != 0xFFFF:
                bad.add("a wrong checksum")
        if longest > most:
            bad.add(f"a packet of {longest} octets")
        return sorted(bad), count, longest


def check(tmp, name, kind, data, *options):
    """What ipfix_check.py says about one session or file."""
    path = os.path.join(tmp, name)
    with open(path, "wb") as f:
        f.write(data)
    done = subprocess.run([sys.executable, "-B", f"{HERE}/ipfix_check.py", f"--{kind}", path,
                           *options], capture_output=True, text=True, timeout=300, check=False)
    return [f"{name}: {w}" for w in done.stdout.splitlines()] if done.returncode else []


def replay(lab, tmp, name, ns, options, flows=FLOWS):
    """A daemon that replays flows to an IPFIX output and ends."""
    folder = f"{tmp}/{name}"
    os.mkdir(folder)
    recording.write(f"{folder}/flows.pcap", flows)
    daemon = Daemon(lab, ns, folder, configuration(
        folder, ["in1:REPLAY,out1:IPFIX"],
        {"in1": f'file="{folder}/flows.pcap"\n', "out1": f"oid=7\noptions_interval=0\n{options}"}))
    daemon.start(wait=False)
    code = daemon.wait()
    daemon.check_sanitizer()
    if code:
        raise AssertionError(f"{name}: exit code {code}: {daemon.words()}")
    return daemon


def small_path(lab, tmp, family):
    """Datagrams of 1500 octets do not fit: told by the router, split, none fragmented."""
    narrow(lab, family)
    sink = UdpSink(lab, "far", 4739, FAR[family])
    there, here = Wire(lab, "far", "to-router"), Wire(lab, "router", "to-exp")
    daemon = replay(lab, tmp, f"small{family}", "exp",
                    f'host="[{FAR[family]}]"\nproto=udp\nmtu={WIDE}\n')
    seen = [-1]

    def rests():
        seen.append(len(sink.messages()))
        return seen[-1] == seen[-2]
    until("all to arrive", rests, step=0.3)
    messages = sink.messages()
    reader, flows = ipfix_wire.Reader(), 0
    problems = check(tmp, f"small{family}.udp", "udp", b"".join(messages), "--late")
    problems = [p for p in problems if "sequence" not in p]
    for m in messages:
        flows += reader.count(m)
    last = messages[-1]
    sent = struct.unpack_from(">I", last, 8)[0] + ipfix_wire.Reader.count(reader, last)
    bad, count, longest = there.complaints(NARROW[family])
    first, _, widest = here.complaints(WIDE)
    sink.close()
    print(f"IPv{family}: {flows} of {FLOWS} flows in {count} packets of at most {longest} "
          f"octets, tried with {widest}")
    if bad or first:
        problems.append(f"IPv{family}: {bad} {first}")
    if sent != FLOWS:
        problems.append(f"IPv{family}: the sequence numbers say {sent} flows")
    if not longest > NARROW[family] - 100 or widest <= NARROW[family]:
        problems.append(f"IPv{family}: packets of {longest} and {widest} octets")
    # one call to the system is what is under way when the router answers
    if flows < FLOWS - 2 * 32 * 17:
        problems.append(f"IPv{family}: only {flows} flows arrived")
    if "longer ones are split" not in daemon.log():
        problems.append(f"IPv{family}: it does not say so")
    return problems


def over_nfcapd(lab, tmp, name, ns, host, options):
    """nfcapd's rows are the flows, without a complaint."""
    os.mkdir(f"{tmp}/nf-{name}")
    nfcapd = collectors.Nfcapd(lab, ns, 4739, f"{tmp}/nf-{name}", host)
    replay(lab, tmp, name, "exp", options, FEW)
    problems = [f"{name}: nfcapd: {w}" for w in nfcapd.finish()]
    rows = {(r.src, r.sport, r.dst, r.dport, r.obytes, r.rbytes, r.opkts)
            for r in nfcapd.rows()}
    want = {("10.0.0.1", 1000 + i, "10.0.0.2", 53, 28 + i % 1000, 100, 1) for i in range(FEW)}
    print(f"{name}: nfcapd has {len(rows)} flows")
    if rows != want:
        problems.append(f"{name}: {len(rows & want)} of {FEW} flows as they were")
    return problems


def link_local(lab, tmp):
    """A scope id in host=, from a link-local address of the own."""
    local = {}
    for ns, device in (("exp", "to-router"), ("router", "to-exp")):
        text = lab.run(ns, "ip", "-6", "-o", "addr", "show", "dev", device, "scope", "link")
        local[ns] = text.split()[3].split("/")[0]
    sink = lab.socket("router", socket.AF_INET6, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)
    sink.bind(("::", 4741))
    sink.settimeout(0.5)  # what is on its way arrives
    replay(lab, tmp, "local", "exp",
           f'host="[{local["router"]}%to-router]:4741"\nproto=udp\n'
           f'source="{local["exp"]}%to-router"\n')
    data, peers = b"", set()
    while True:
        try:
            part, peer = sink.recvfrom(1 << 16)
        except TimeoutError:
            break
        data += part
        peers.add(peer[0].split("%")[0])
    sink.close()
    rows = len(list(formats.ipfix(data)))
    print(f"link-local: {rows} flows from {peers}")
    return [] if rows == FLOWS and peers == {local["exp"]} else [f"link-local: {rows} {peers}"]


def identity(data):
    return {(r.src, r.sport, r.dst, r.dport, r.start) for r in formats.ipfix(data)}


def whole(data):
    """The whole messages of a session."""
    at = 0
    while at + 4 <= len(data) and at + int.from_bytes(data[at + 2:at + 4], "big") <= len(data):
        at += int.from_bytes(data[at + 2:at + 4], "big")
    return bytes(data[:at])


def reset_one(lab, port):
    """A collector that reads a little, slowly, until it is told to die."""
    server = lab.socket("flows", socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    server.bind(("127.0.0.1", port))
    server.listen()
    server.settimeout(100)
    return server


def bursts(lab, flood, n):
    for _ in range(n):
        lab.run("flows", flood, str(BURST))
        lab.run("flows", "conntrack", "-F")


def two_collectors(lab, tmp, flood, mode, metrics=()):
    """The first one reads a part of what it gets and dies; until the metrics say that."""
    folder = f"{tmp}/{mode}"
    os.mkdir(folder)
    first, second = reset_one(lab, 4750), TcpSink(lab, "flows", 4751)
    daemon = Daemon(lab, "flows", folder, configuration(folder, ["ct1:NFCT,out1:IPFIX"], {
        "out1": f'oid=7\nhost="127.0.0.1:4750, 127.0.0.1:4751"\nmode={mode}\nreconnect=100ms\n'
                'resend=1M\n'}).replace("[global]\n", f'[global]\nmetrics_file="{folder}/prom"\n'
                                        "metrics_interval=100ms\nstop_timeout=1\n"))
    daemon.start()
    peer, _ = first.accept()
    bursts(lab, flood, 1)
    peer.settimeout(100)
    got = peer.recv(100_000)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    first.close()
    bursts(lab, flood, 2)
    until("the flows", lambda: len(identity(whole(b"".join(map(whole, second.sessions)))))
          >= (3 if mode == "all" else 2) * BURST, step=0.3)
    until(f"{metrics} in {text(f'{folder}/prom')}",
          lambda: all(words in text(f"{folder}/prom") for words in metrics))
    daemon.send(15)
    daemon.wait()
    daemon.check_sanitizer()
    second.close()
    return daemon, whole(got), [whole(s) for s in second.sessions]


def all_mode(lab, tmp, flood):
    daemon, _, sessions = two_collectors(lab, tmp, flood, "all", (
        'output_up{output="out1",plugin="IPFIX"} 0',
        'output_up{output="out1.2",plugin="IPFIX"} 1',
        f'output_delivered_total{{output="out1.2",plugin="IPFIX"}} {3 * BURST}'))
    problems = []
    rows = list(formats.ipfix(sessions[0]))
    print(f"all: the second collector has {len(rows)} flows in {len(sessions)} session")
    if len(sessions) != 1 or len(rows) != 3 * BURST or len(identity(sessions[0])) != 3 * BURST:
        problems.append(f"all: {len(rows)} flows, {len(sessions)} sessions")
    problems += check(tmp, "all.tcp", "tcp", sessions[0])
    if "out1:IPFIX: " not in daemon.log() or "out1.2:IPFIX: connection" in daemon.log():
        problems.append("all: the log does not tell them apart")
    return problems


def failover_mode(lab, tmp, flood):
    daemon, first, sessions = two_collectors(lab, tmp, flood, "failover")
    problems = []
    for i, s in enumerate(sessions):
        problems += check(tmp, f"failover{i}.tcp", "tcp", s)
    seen = identity(first).union(*map(identity, sessions))
    print(f"failover: {len(identity(first))} flows at the first, {len(seen)} in all")
    if len(seen) != 3 * BURST:
        problems.append(f"failover: {len(seen)} of {3 * BURST} flows")
    if "collector 2 of 2" not in daemon.log():
        problems.append("failover: it does not say where they go")
    return problems


def spooled(lab, tmp, flood):
    """One collector is away until after a kill -9: its spool is its own."""
    folder = f"{tmp}/spooled"
    os.makedirs(f"{folder}/spool")
    second = TcpSink(lab, "flows", 4753)
    daemon = Daemon(lab, "flows", folder, configuration(folder, ["ct1:NFCT,out1:IPFIX"], {
        "out1": 'oid=7\nhost="127.0.0.1:4752, 127.0.0.1:4753"\nreconnect=100ms\n'
                f'spool_dir="{folder}/spool"\nspool_sync=0\n'}))
    daemon.start()
    bursts(lab, flood, 1)
    until("the second's flows", lambda: len(identity(whole(b"".join(second.sessions)))) == BURST,
          step=0.2)
    until("the first's spool", lambda: sum(map(os.path.getsize, glob.glob(
        f"{folder}/spool/out1:IPFIX/*"))) > 79 * BURST, step=0.2)
    daemon.send(9)
    daemon.wait()
    first = TcpSink(lab, "flows", 4752)
    daemon.start()
    until("the first's flows", lambda: len(identity(whole(b"".join(first.sessions)))) == BURST,
          step=0.2)
    daemon.stop()
    first.close()
    second.close()
    again = len(list(formats.ipfix(whole(b"".join(second.sessions[1:])))))
    print(f"spooled: {BURST} flows at each, {again} came again to the second")
    return []


def test(lab, tmp):
    build(lab)
    labs.flood_ns(lab, "flows")
    flood = labs.helper("flood", tmp)
    problems = []
    problems += over_nfcapd(lab, tmp, "v4", "far", FAR[4],
                            f'host="{FAR[4]}"\nproto=udp\nmtu=1500\nsource=192.0.2.3\n')
    problems += over_nfcapd(lab, tmp, "v6", "far", FAR[6],
                            f'host="{FAR[6]}"\nproto=udp\nsource=2001:db8:1::2\n')
    problems += over_nfcapd(lab, tmp, "loopback6", "exp", "::1",
                            'host="[::1]:4739"\nproto=udp\n')
    problems += link_local(lab, tmp)
    for family in (6, 4):  # a device with so small an mtu has no IPv6
        problems += small_path(lab, tmp, family)
    problems += all_mode(lab, tmp, flood)
    problems += failover_mode(lab, tmp, flood)
    problems += spooled(lab, tmp, flood)
    return problems


scene.main(test)
