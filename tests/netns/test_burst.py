#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""200,000 flows destroyed at once: nothing lost, nothing twice.

LOGEMU, JSON, SQLITE3 and IPFIX over TCP of one ctflowd must each hold every
flow exactly once, with its bytes.
"""
import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, Daemon, Failed, configuration, lines, until  # noqa: E402
from sinks import TcpSink  # noqa: E402

FLOWS = int(os.environ.get("CTF_BURST", "200000"))
PORTS, FIRST_PORT, SIZES = 50000, 1024, 64  # as in flood.c
OVER = 28
PATIENCE = LIMIT * max(1, FLOWS / 200000)  # seconds
NS = "burst"

STACKS = [
    "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU",
    "ct1:NFCT,ip1:IP2STR,json1:JSON",
    "ct1:NFCT,db1:SQLITE3",
    "ct1:NFCT,ipfix1:IPFIX",
]


def sections(tmp):
    return {
        "emu1": f'file="{tmp}/emu"\n',
        "json1": f'file="{tmp}/json"\n',
        "db1": f'db="{tmp}/flows.db"\ntable="flows"\n',
        "ipfix1": 'oid=1\nhost="127.0.0.1"\nport=4739\nproto="tcp"\n',
    }


def index(address, port):
    """Which flow of flood.c that destination was."""
    a, b, c, d = map(int, address.split("."))
    if (a, b, c) != (10, 66, 1):
        raise ValueError(f"{address} was never sent to")
    return (d - 1) * PORTS + port - FIRST_PORT


def size(i):
    return OVER + 1 + i % SIZES


class Tally:
    """Counts the flows one output holds."""

    def __init__(self, name):
        self.name = name
        self.seen = bytearray(FLOWS)
        self.records = self.wrong = 0

    def add(self, address, port, packets, octets):
        i = index(address, port)
        self.records += 1
        self.seen[i] = 1
        if packets != 1 or octets != size(i):
            self.wrong += 1

    def problems(self):
        distinct = sum(self.seen)
        print(f"{self.name}: {self.records} records, {distinct} distinct flows")
        if self.records != FLOWS or distinct != FLOWS:
            yield f"{self.name}: {self.records} records of {distinct} flows, not {FLOWS}"
        if self.wrong:
            yield f"{self.name}: {self.wrong} records with wrong counters"


def between(line, left, right):
    at = line.index(left) + len(left)
    return line[at:line.index(right, at)]


def tally_logemu(path):
    t = Tally("LOGEMU")
    with open(path, encoding="ascii") as f:
        for line in f:
            t.add(between(line, "DST=", " "), int(between(line, "DPT=", " ")),
                  int(between(line, "PKTS=", " ")), int(between(line, "BYTES=", " ")))
    return t


def tally_json(path):
    import json
    t = Tally("JSON")
    with open(path, encoding="utf-8") as f:
        for line in f:
            k = json.loads(line)
            t.add(k["dest_ip"], k["orig.l4.dport"], k["orig.raw.pktcount"],
                  k["orig.raw.pktlen"])
    return t


def tally_sqlite(path):
    t = Tally("SQLITE3")
    with sqlite3.connect(path) as db:
        for row in db.execute("SELECT dst, dport, orig_packets, orig_bytes FROM flows"):
            t.add(*row)
        gaps = db.execute("SELECT count(*) FROM gaps").fetchone()[0]
    if gaps:
        t.wrong += gaps
    return t


def tally_ipfix(stream):
    t = Tally("IPFIX/TCP")
    reader = ipfix_wire.Reader()
    number = int.from_bytes
    for message in ipfix_wire.messages(stream):
        for _, v in reader.records(message):
            t.add(".".join(map(str, v[0, 12])), number(v[0, 11], "big"),
                  number(v[0, 2], "big"), number(v[0, 1], "big"))
    return t


def rows(path):
    try:
        with sqlite3.connect(path) as db:
            return db.execute("SELECT count(*) FROM flows").fetchone()[0]
    except sqlite3.OperationalError:  # busy
        return -1


def burst(lab, tmp, daemon):
    """Makes the flows while the daemon runs, and ends them all at once."""
    lab.run(NS, labs.helper("flood", tmp), str(FLOWS), timeout=300)
    if lab.count(NS) != FLOWS:
        raise Failed(f"{lab.count(NS)} entries instead of {FLOWS}")
    start = time.monotonic()
    lab.run(NS, "conntrack", "-F", timeout=300)
    print(f"destroyed in {time.monotonic() - start:.1f} s")
    for name in ("emu", "json"):
        until(f"{name} to be written", lambda n=name: lines(f"{tmp}/{n}") >= FLOWS,
              PATIENCE, 0.3)
    until("the database to be written", lambda: rows(f"{tmp}/flows.db") >= FLOWS,
          PATIENCE, 0.3)
    print(f"all written after {time.monotonic() - start:.1f} s")
    daemon.stop()


def test(lab, tmp):
    labs.raise_conntrack_max(lab, FLOWS + 1000)
    labs.flood_ns(lab, NS)
    sink = TcpSink(lab, NS, 4739)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, STACKS, sections(tmp))).start()
    burst(lab, tmp, daemon)
    sink.close()
    problems = []
    for tally in (tally_logemu(f"{tmp}/emu"), tally_json(f"{tmp}/json"),
                  tally_sqlite(f"{tmp}/flows.db"), tally_ipfix(bytes(sink.sessions[0]))):
        problems += tally.problems()
    return problems


scene.main(test)
