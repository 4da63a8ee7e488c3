#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every flow template at every collector, with the values that were sent.

The kernel counts and stamps, does one of both, or neither; flows are told of
while they live and when they end.  So records of all shapes (IPv4, IPv6, NAT,
ICMP) and variants arise, over UDP, TCP, and both families.
"""
import collections
import os
import shutil
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import captured  # noqa: E402
import collectors  # noqa: E402
import compare  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import tls_collector  # noqa: E402
import traffic  # noqa: E402
from capture import UDP  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

PEN = 32473  # RFC 5612: for examples
# (acct, timestamp) of the kernel, one after the other
PHASES = [(1, 1), (1, 0), (0, 1), (0, 0)]
OUTPUTS = {"tcp": ("127.0.0.1", 4739, f"proto=tcp\npen={PEN}\ninterim=counters\n"
                   "nat_events=destinations\nflow_events=new\n"
                   'zone_names="7=Büro, 0=main"\n'),
           "tcp6": ("::1", 4741, "proto=tcp\ninterim=counters\ntimestamps=ns\n"),
           "tls": ("127.0.0.1", 4743, f"proto=tls\npen={PEN}\ninterim=counters\n"),
           "udp": ("127.0.0.1", 4740, "proto=udp\nmtu=1400\ninterim=counters\n"
                   'nat_events=yes\nzone_names="7=Büro, 0=main"\n'),
           "udp6": ("::1", 4742, f"proto=udp\nmtu=1400\npen={PEN}\ninterim=counters\n")}
COUNTERS = ("opkts", "obytes", "rpkts", "rbytes")
SECOND = 10**9
LIFE = 4  # seconds without a packet: seen by two sweeps


def some(made):
    """A flow of each shape."""
    for net, srv in (("10.77.1.", "10.77.2.2"), ("fd77:1::", "fd77:2::2")):
        made.udp(net + "2", srv, 5001, [77], mark=0x80000042)
        made.udp(net + "2", srv, 5004, [78], [79])  # zone 7
        for source in (net + "2", net + "3"):  # plain, masqueraded
            made.udp(source, srv, 5000, [100, 101], [200])
            made.ping(source, srv, 2, 56)


def all_phases(lab):
    """The traffic; (its flows, acct and timestamp of each)."""
    made = traffic.Traffic(lab)
    known = []
    for acct, timestamp in PHASES:
        lab.sysctl(GATEWAY, acct=acct, timestamp=timestamp)
        some(made)
        known += [(acct, timestamp)] * (len(made.flows) - len(known))
    flows = made.manifest()
    return flows, {id(f): k for f, k in zip(flows, known)}


def knows(known, uncounted=(None,) * 4, nat66=True, mark=True):
    """What a collector can know of a flow; uncounted: what it shows for no counters."""
    def adapt(flow, row):
        acct, timestamp = known[id(flow)]
        if not mark:
            row = row._replace(mark=None)
        if not acct:
            row = row._replace(**dict(zip(COUNTERS, uncounted)))
        if not timestamp:
            row = row._replace(start=None)
        if not nat66 and flow.family == socket.AF_INET6:
            row = row._replace(rsrc=row.dst, rdst=row.src)
        return row
    return adapt


def unused(streams):
    """Flow templates announced of which no record ever came, by session."""
    for name, stream in streams.items():
        reader, used = ipfix_wire.Reader(), set()
        for message in ipfix_wire.messages(stream):
            used |= {tid for tid, _ in reader.records(message)}
        for tid, fields in sorted(reader.templates.items()):
            # the kernel says when an entry ended, so the last packet is known
            never = not {e for (_, e), _ in fields} & {153, 157, 323}
            if tid not in reader.options and tid not in used and not never:
                yield f"{name}: no record of template {tid}: {fields}"


def zones(name, rows):
    """Only what went to port 5004 was in zone 7."""
    found = {(r.dport == 5004, r.zone or 0) for r in rows}
    return [] if found == {(True, 7), (False, 0)} else [f"{name}: (of 5004, zone): {found}"]


def happened(flows, fw, nat):
    """What events there must be, times aside: (kind, number, addresses, ports)."""
    found = collections.Counter()
    for f in flows:
        sport, dport = (f.sport, f.dport) if f.proto == UDP else (0, 0)
        if fw:
            found["fw", 1, f.proto, f.src, sport, f.dst, dport, f.mark,
                  7 if dport == 5004 else 0] += 1
        translated = (f.reply_dst, f.reply_dport) != (f.src, f.sport)
        if nat and translated and f.family == socket.AF_INET:
            to = (f.dst, dport, f.reply_src, dport and f.reply_sport) if nat == "to" else (None,) * 4
            for number in (4, 5):  # created, deleted; a query's id is its port
                found["nat", number, f.proto, f.src, f.sport, f.reply_dst, f.reply_dport, *to] += 1
    return found


def told(records):
    found = collections.Counter()
    for e in records:
        if "fw" in e:
            names = ("src", "sport", "dst", "dport", "mark", "zone")
        else:
            names = ("src", "sport", "xsrc", "xsport", "dst", "dport", "xdst", "xdport")
        kind = "fw" if "fw" in e else "nat"
        found[(kind, e[kind], e["proto"], *map(e.get, names))] += 1
    return found


def events(name, records, flows, fw, nat):
    records = list(records)
    got, want = told(records), happened(flows, fw, nat)
    problems = [f"{name}: no event {k}" for k in want - got]
    problems += [f"{name}: event {k}" for k in got - want]
    first, last = min(f.first_ns for f in flows), max(f.last_ns for f in flows)
    for e in records:
        begins = (e.get("fw") == 1 or e.get("nat") == 4)
        end = last if begins else last + 20 * SECOND  # entries end some time later
        if not first - compare.NEAR <= e["when"] <= end + compare.NEAR:
            problems.append(f"{name}: {e} at {e['when']}, flows from {first} to {last}")
    return problems


def interim(name, rows, flows, adapt):
    """All flows were told of while they lived, with what is true at the end."""
    rows = [r._replace(start=None) for r in set(r._replace(end=None) for r in rows)]
    return compare.differences(f"{name} interim", rows, flows,
                               lambda f, r: adapt(f, r)._replace(start=None, end=None))


def a_sink(lab, name, server):
    host, port, more = OUTPUTS[name]
    if name == "tls":
        return tls_collector.TlsSink(lab, GATEWAY, port, server, host)
    return (UdpSink if "udp" in name else TcpSink)(
        lab, GATEWAY, port, host, whole=True, no_destinations="nat_events=yes" in more)


def received(sink):
    """The bytes of its one session."""
    if isinstance(sink, UdpSink):
        return b"".join(sink.datagrams)
    return sink.plain() if isinstance(sink, tls_collector.TlsSink) else bytes(sink.sessions[0])


def test(lab, tmp):
    natlab.build(lab)
    lab.sysctl(GATEWAY, udp_timeout=LIFE, udp_timeout_stream=LIFE, icmp_timeout=LIFE,
               icmpv6_timeout=LIFE)
    os.mkdir(f"{tmp}/nf")
    nfcapd = collectors.Nfcapd(lab, GATEWAY, 9995, f"{tmp}/nf", mtu=1420)
    tshark = collectors.Tshark(lab, GATEWAY, [
        (name[:3], port) for name, (_, port, _) in OUTPUTS.items() if name != "tls"],
        f"{tmp}/tshark.pcap")
    ca = tls_collector.Authority(tmp, "ca")
    server = tls_collector.context(ca.sign("server", "IP:127.0.0.1"))
    sinks = {name: a_sink(lab, name, server) for name in OUTPUTS}
    sections = {name: f'oid=1\nhost="{host}"\nport={port}\n{more}'
                for name, (host, port, more) in OUTPUTS.items()}
    sections["tls"] += f'tls_ca="{ca.ca}"\n'
    sections |= {"nf": 'oid=1\nhost="127.0.0.1"\npreset=nfdump\n',
                 "ct1": "active_timeout=1\nreap_interval=1\n"}
    daemon = Daemon(lab, GATEWAY, tmp, configuration(
        tmp, [f"ct1:NFCT,{name}:IPFIX" for name in [*OUTPUTS, "nf"]], sections)).start()
    flows, known = all_phases(lab)
    until("all flows to end", lambda: lab.count(GATEWAY) == 0, step=0.3)
    daemon.stop()
    return judge(tmp, sinks, nfcapd, tshark, flows, known)


def shown(who, rows, records, names, more, flows, known):
    """What is wrong with what a collector shows; names: of zones; more: the output's options."""
    # ipfixDump shows no fraction of NTP's seconds
    grain = SECOND if "ipfixDump" in who and "timestamps=ns" in more else 0
    problems = compare.differences(who, rows(False), flows, knows(known), grain)
    problems += zones(who, rows(False))
    problems += interim(who, rows(True), flows, knows(known))
    if names != ({0: "main", 7: "Büro"} if "zone_names" in more else {}):
        problems.append(f"{who}: zones are called {names}")
    return problems + events(who, records, flows, "flow_events" in more, "to" if
                             "destinations" in more else "nat_events" in more)


def judge(tmp, sinks, nfcapd, tshark, flows, known):
    streams = {}
    for name, sink in sinks.items():
        sink.close()
        streams[name] = received(sink)
        with open(f"{tmp}/{name}.ipfix", "wb") as f:
            f.write(streams[name])
    captured.keep("tls", "tcp", streams["tls"], whole=True)
    dumps = {name: collectors.IpfixDump(f"{tmp}/{name}.ipfix") for name in sinks}
    said = {"nfcapd": nfcapd.finish(), "tshark": tshark.finish()}
    said |= {f"ipfixDump {name}": d.finish() for name, d in dumps.items()}
    problems = [f"{who} says: {what}" for who, words in said.items() for what in words]
    problems += unused(streams)
    problems += zones("nfcapd", nfcapd.rows())
    problems += compare.differences("nfcapd", nfcapd.rows(), flows,
                                    knows(known, (0, 0, None, None), nat66=False, mark=False))
    for name, (_, port, more) in OUTPUTS.items():
        problems += shown(f"ipfixDump {name}", dumps[name].rows, dumps[name].events(),
                          dumps[name].zones(), more, flows, known)
        if name != "tls":  # tshark has no IPFIX within TLS
            problems += shown(f"tshark {name}", lambda lives, p=port: tshark.rows(p, lives),
                              tshark.events(port), tshark.zones(port), more, flows, known)
    print(f"{len(flows)} flows at {len(OUTPUTS) + 1} collectors")
    return problems


for tool in ("nfcapd", "nfdump", "openssl", "tshark", "ipfixDump"):
    if not shutil.which(tool):
        labs.skip(f"needs the program {tool}")
scene.main(test)
