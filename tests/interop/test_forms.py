#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms flows can be sent in, of the same traffic, at real collectors.

NAT44 events with and without destinations, beginnings of flows, nanoseconds,
and a record a direction.  A text output on the same input goes on to have one
line a flow.
"""
import collections
import os
import shutil
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import compare  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from sinks import TcpSink  # noqa: E402

PEN = 32473  # RFC 5612: for examples
NS = 1_000_000_000
NTP_EPOCH = 2_208_988_800
NAT_PORT, NANO_PORT, EVENT_PORT, TO_PORT, UNI_PORT = 4739, 4741, 4742, 9995, 9996
SECTIONS = {
    "nat": f"port={NAT_PORT}\nproto=tcp\nnat_events=yes\npen={PEN}\n",
    "nano": f"port={NANO_PORT}\nproto=tcp\ntimestamps=ns\nnat_events=yes\n",
    "event": f"port={EVENT_PORT}\nproto=tcp\nflow_events=new\nflows=no\npen={PEN}\n",
    "to": f"port={TO_PORT}\npreset=nfdump\nnat_events=destinations\nflows=no\n",
    "uni": f"port={UNI_PORT}\npreset=nfdump\nuniflow=yes\n",
}


def value(raw):
    return int.from_bytes(raw, "big")


def records(session):
    reader = ipfix_wire.Reader()
    for message in ipfix_wire.messages(session):
        for tid, values in reader.records(message):
            yield tid, {element: raw for (pen, element), raw in values.items() if pen == 0}


def address(raw):
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def translated(flow):
    """NAT44; the identifier of a query is its port."""
    return flow.family == socket.AF_INET and (
        (flow.src, flow.dst) != (flow.reply_dst, flow.reply_src) or
        flow.proto in compare.PORTS and (flow.sport, flow.dport) !=
        (flow.reply_dport, flow.reply_sport))


def ports(flow):
    return (flow.sport, flow.reply_dport) if flow.proto in compare.PORTS else None


def near(name, what, ns, flow):
    """A flow begins with its first packet, and ends after its last."""
    if what == 4 and abs(ns - flow.first_ns) > compare.NEAR:
        yield f"{name}: {flow.name} begins {(ns - flow.first_ns) / 1e6:.1f} ms off"
    if what == 5 and not -compare.NEAR < ns - flow.last_ns < 30 * NS:
        yield f"{name}: {flow.name} ends {(ns - flow.last_ns) / 1e6:.1f} ms after its last packet"


def nat_events(name, session, flows, when):
    """Each translated flow's two, in this order, with its addresses and ports."""
    told = collections.defaultdict(list)
    for tid, v in records(session):
        if tid == 270:
            proto = value(v[4])
            key = (proto, address(v[8]), address(v[225]),
                   (value(v[7]), value(v[227])) if proto in compare.PORTS else None)
            told[key].append((value(v[230]), when(v)))
    wanted = collections.defaultdict(list)
    for f in flows:
        if translated(f):
            wanted[f.proto, f.src, f.reply_dst, ports(f)].append(f)
    for key in wanted.keys() | told.keys():
        kinds = [what for what, _ in told[key]]
        if sorted(kinds) != [4] * len(wanted[key]) + [5] * len(wanted[key]):
            yield f"{name}: {key}: events {kinds} of {len(wanted[key])} flows"
        elif len(kinds) == 2:
            if kinds != [4, 5]:
                yield f"{name}: {key}: {kinds}"
            for what, ns in told[key]:
                yield from near(name, what, ns, wanted[key][0])
    if not wanted:
        yield f"{name}: no flow was translated"


def ms(values):
    return value(values[323]) * 10**6


def ntp(raw):
    seconds, fraction = struct.unpack(">II", raw)
    return (seconds - NTP_EPOCH) * NS + fraction * NS // 2**32


def nanoseconds(session, flows):
    """Start and end, and with the precision of the kernel's clock."""
    rows = []
    for tid, v in records(session):
        if tid != 270:
            rows.append((ntp(v[156]), ntp(v[157])))
    if len(rows) != len(flows):
        yield f"{len(rows)} records in nanoseconds of {len(flows)} flows"
    for (start, _), want in zip(sorted(rows), sorted(f.first_ns for f in flows)):
        if abs(start - want) > compare.NEAR:
            yield f"nanoseconds: start off by {(start - want) / 1e6:.1f} ms"
    if sum(start % 1000 != 0 for start, _ in rows) < len(rows) // 2:
        yield "nanoseconds: they are all microseconds"
    if any(end < start for start, end in rows):
        yield "nanoseconds: an end before its start"


def begins(session, flows):
    """A record at the beginning of each flow, IPv4 and IPv6."""
    told = collections.Counter()
    for tid, v in records(session):
        if value(v[233]) != 1 or tid not in (275, 276):
            yield f"event {value(v[233])} of template {tid}"
        told[value(v[4]), address(v.get(8) or v[27]), address(v.get(12) or v[28])] += 1
    wanted = collections.Counter((f.proto, f.src, f.dst) for f in flows)
    if told != wanted:
        yield f"flows begin: {told - wanted} too many, {wanted - told} are missing"


def at_nfdump(nfcapd, flows):
    """Both events of each translated flow, with where it went."""
    told = collections.Counter()
    for r in nfcapd.records():
        told[r["proto"], int(r["nat_event_id"]), r["src4_addr"], r["dst4_addr"], r["src4_xlt_ip"],
             r["dst4_xlt_ip"]] += 1
    wanted = collections.Counter()
    for f in flows:
        if translated(f):
            for event in (4, 5):
                wanted[f.proto, event, f.src, f.dst, f.reply_dst, f.reply_src] += 1
    if told != wanted:
        yield f"nfdump: NAT events: {told - wanted} too many, {wanted - told} are missing"


def directions(nfcapd, flows):
    """nfdump's packets and bytes from each address to each other, and no biflow."""
    def add(sums, proto, src, dst, packets, octets):
        old = sums[proto, src, dst]
        sums[proto, src, dst] = (old[0] + 1, old[1] + packets, old[2] + octets)
    told = collections.defaultdict(lambda: (0, 0, 0))
    for row in nfcapd.rows():
        add(told, row.proto, row.src, row.dst, row.opkts, row.obytes)
        if row.rpkts is not None:
            yield f"nfdump: a record of both directions: {row}"
    wanted = collections.defaultdict(lambda: (0, 0, 0))
    for f in flows:
        add(wanted, f.proto, f.src, f.dst, f.opkts, f.obytes)
        if f.rpkts:
            add(wanted, f.proto, f.reply_src, f.reply_dst, f.rpkts, f.rbytes)
    for key in told.keys() | wanted.keys():
        if told[key] != wanted[key]:
            yield f"nfdump: {key}: (records, packets, bytes) {told[key]}, not {wanted[key]}"


def lines(path, flows):
    """One a flow, of its end."""
    with open(path, encoding="ascii") as f:
        text = f.read().splitlines()
    if len(text) != len(flows) or not all("[DESTROY]" in line for line in text):
        yield f"LOGEMU has {len(text)} lines of {len(flows)} flows"


def complaints(tmp, sessions, collected):
    for name, nfcapd in collected.items():
        for what in nfcapd.finish():
            yield f"{name} says: {what}"
    for name, session in sessions.items():
        with open(f"{tmp}/{name}.ipfix", "wb") as f:
            f.write(session)
        for what in collectors.IpfixDump(f"{tmp}/{name}.ipfix").finish():
            yield f"ipfixDump {name} says: {what}"


def test(lab, tmp):
    natlab.build(lab)
    nfcapds = {}
    for name, port in (("to", TO_PORT), ("uni", UNI_PORT)):
        os.mkdir(f"{tmp}/nf-{name}")
        nfcapds[name] = collectors.Nfcapd(lab, GATEWAY, port, f"{tmp}/nf-{name}", mtu=1420)
    sinks = {name: TcpSink(lab, GATEWAY, port) for name, port in
             (("nat", NAT_PORT), ("nano", NANO_PORT), ("event", EVENT_PORT))}
    tshark = collectors.Tshark(lab, GATEWAY, [("tcp", NAT_PORT), ("tcp", NANO_PORT),
                                              ("tcp", EVENT_PORT)], f"{tmp}/tshark.pcap")
    sections = {name: f'oid=1\nhost="127.0.0.1"\n{text}' for name, text in SECTIONS.items()}
    sections["emu"] = f'file="{tmp}/emu.log"\nsync=1\n'
    flows = scene.standard(lab, tmp, [f"ct1:NFCT,{name}:IPFIX" for name in SECTIONS]
                           + ["ct1:NFCT,ip:IP2STR,print:PRINTFLOW,emu:LOGEMU"], sections)
    for sink in sinks.values():
        sink.close()
    sessions = {name: bytes(sink.sessions[0]) for name, sink in sinks.items()}
    problems = [f"tshark says: {what}" for what in tshark.finish()]
    problems += complaints(tmp, sessions, nfcapds)
    problems += nat_events("nat", sessions["nat"], flows, ms)
    problems += nat_events("nano", sessions["nano"], flows, lambda v: ntp(v[325]))
    problems += nanoseconds(sessions["nano"], flows)
    problems += begins(sessions["event"], flows)
    problems += at_nfdump(nfcapds["to"], flows)
    problems += directions(nfcapds["uni"], flows)
    problems += lines(f"{tmp}/emu.log", flows)
    problems += compare.differences("tshark nat", tshark.rows(NAT_PORT), flows)
    print(f"{len(flows)} flows, {sum(map(translated, flows))} of them translated")
    return problems


for tool in ("nfcapd", "nfdump", "tshark", "ipfixDump"):
    if not shutil.which(tool):
        labs.skip(f"needs the program {tool}")
scene.main(test)
