#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every record of every output against what was really sent.

Client - NAT gateway - server, TCP, UDP, ICMP and another protocol, IPv4 and
IPv6, with and without SNAT and DNAT, refused and unanswered; one ctflowd in
the gateway writes all of it in all formats from one shared input.
"""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import calls  # noqa: E402
import compare  # noqa: E402
import formats  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import tables  # noqa: E402
from daemon import configuration, lines, text, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

STACKS = [
    "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU",
    "ct1:NFCT,ip1:IP2STR,gp1:GPRINT",
    "ct1:NFCT,ip1:IP2STR,json1:JSON",
    "ct1:NFCT,native1:SQLITE3",
    "ct1:NFCT,table1:SQLITE3",
    "ct1:NFCT,tcp1:IPFIX",
    "ct1:NFCT,udp1:IPFIX",
    *(f"ct1:NFCT,ip1:IP2STR,bin1:IP2BIN,db-{table}:SQLITE3" for table in tables.TABLES),
]


def sections(tmp):
    return {
        "ct1": f'record="{tmp}/events.pcap"\n',
        "emu1": f'file="{tmp}/emu"\n',
        "gp1": f'file="{tmp}/gprint"\n',
        "json1": f'file="{tmp}/json"\n',
        "native1": f'db="{tmp}/native.db"\ntable="flows"\n',
        "table1": f'db="{tmp}/table.db"\ntable="ulog_ct"\n',
        "tcp1": 'oid=1\nhost="127.0.0.1"\nport=4739\nproto="tcp"\n',
        "udp1": 'oid=1\nhost="127.0.0.1"\nport=4740\nproto="udp"\n',
        **{f"db-{t}": f'db="{tmp}/ulogd2.db"\ntable="{t}"\n' for t in tables.TABLES},
    }


def arrives(tmp, tcp):
    """Buffered output is there soon after the traffic has stopped."""
    def during(_daemon, flows):
        for name in ("emu", "gprint", "json"):
            until(f"the last line of {name}",
                  condition=lambda n=name: lines(f"{tmp}/{n}") == len(flows))
        until("rows in the database", condition=lambda: len(flows) == len(
            list(formats.native(f"{tmp}/native.db"))))
        until("IPFIX over TCP", tcp.size)
    return during


def native_schema(path):
    """What the view promises beyond the rows themselves."""
    with sqlite3.connect(path) as db:
        iso = "strftime('%Y-%m-%dT%H:%M:%S', {} / 1000000000, 'unixepoch') || '%'"
        wrong = db.execute(
            f"SELECT count(*) FROM flows WHERE start NOT LIKE {iso.format('start_ns')}"
            f" OR \"end\" NOT LIKE {iso.format('end_ns')}").fetchone()[0]
        if wrong:
            yield f"native: {wrong} rows whose start or end is not their time in ISO 8601"
        half = db.execute("SELECT count(*) FROM flows WHERE (nat_src IS NULL AND nat_dst "
                          "IS NULL) <> (nat_sport IS NULL AND nat_dport IS NULL) "
                          "AND proto IN (6, 17)").fetchone()[0]
        if half:
            yield f"native: {half} rows with a translated port but no address, or so"
        for column in ("family", "zone", "nsid", "id", "status", "tcp_state", "end_reason"):
            db.execute(f"SELECT {column} FROM flows").fetchall()
        for table in ("gaps", "coverage"):
            db.execute(f"SELECT * FROM {table}").fetchall()
        if db.execute("SELECT count(*) FROM gaps").fetchone()[0]:
            yield "native: a gap, though nothing was lost"


def replayed(tmp):
    """The recorded events give the same text again, byte for byte."""
    stacks = [s.replace("ct1:NFCT", "r1:REPLAY") for s in STACKS[:3]]
    where = os.path.join(tmp, "again")
    os.mkdir(where)
    with open(f"{where}/conf", "w", encoding="utf-8") as f:
        f.write(configuration(where, stacks, sections(where) | {
            "r1": f'file="{tmp}/events.pcap"\n'}))
    done = calls.call("-c", f"{where}/conf")
    if done.code:
        yield f"REPLAY: exit code {done.code}: {done.words}"
    for name in ("emu", "gprint", "json"):
        if text(f"{where}/{name}") != text(f"{tmp}/{name}"):
            yield f"REPLAY: {name} is not what it was"


def test(lab, tmp):
    natlab.build(lab)
    with sqlite3.connect(f"{tmp}/table.db") as db:
        db.execute(formats.ULOG_CT)
    tables.make(f"{tmp}/ulogd2.db")
    tcp, udp = TcpSink(lab, GATEWAY, 4739), UdpSink(lab, GATEWAY, 4740)
    flows = scene.standard(lab, tmp, STACKS, sections(tmp), arrives(tmp, tcp))
    tcp.close()
    check = compare.differences
    problems = check("LOGEMU", formats.logemu(f"{tmp}/emu"), flows, compare.for_logemu)
    problems += check("GPRINT", formats.gprint(f"{tmp}/gprint"), flows)
    problems += check("JSON", formats.jsons(f"{tmp}/json"), flows)
    problems += check("SQLITE3", formats.native(f"{tmp}/native.db"), flows)
    problems += check("ulog_ct", formats.ulog_ct(f"{tmp}/table.db"), flows, compare.for_ulog_ct)
    for table in tables.TABLES:
        problems += check(f"{table} of ulogd2", tables.rows(f"{tmp}/ulogd2.db", table), flows,
                          tables.expected(table))
    problems += check("IPFIX/TCP", formats.ipfix(bytes(tcp.sessions[0])), flows)
    problems += check("IPFIX/UDP", formats.ipfix(b"".join(udp.messages())), flows)
    problems += native_schema(f"{tmp}/native.db")
    problems += replayed(tmp)
    print(f"{len(flows)} flows, {len(STACKS)} outputs")
    return problems


scene.main(test)
