#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight daemons in eight namespaces feed one ClickHouse, each beside an SQLite history.

Real flows: ended ones, and some that live when they are looked at.  Of each exporter
the server has exactly what was sent, and flows, open flows, gaps and coverage are those
of SQLite; one daemon is killed meanwhile, one loses sight of flows that end.
"""
import contextlib
import os
import signal
import socket
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import scene  # noqa: E402
from clickhouse import BIN, Clickhouse  # noqa: E402
from clickhouse_fakes import Relay  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402

GATEWAYS, LONG, PORT = 8, 5, 30000
COVERAGE = ("from_ns, last_alive_ns, to_ns, instance, nsid, boot_id, event_mask, acct, timestamp,"
            " events, reliable, selection, netns, abilities, clock_synchronised, offload, gro")
GAPS = "from_ns, to_ns, cause, count, count_is, nsid, instance"


class Gateway:
    def __init__(self, lab, tmp, ch, i, wait="200ms"):
        self.lab, self.ch, self.name = lab, ch, f"gw{i}"
        self.dir, self.short = f"{tmp}/{self.name}", 200 + 100 * i
        os.mkdir(self.dir)
        labs.flood_ns(lab, self.name)
        self.relay = Relay(ch.port, lab.socket(self.name, socket.AF_INET, socket.SOCK_STREAM))
        counters = "delta" if i == 1 else "total"
        self.daemon = Daemon(lab, self.name, self.dir, configuration(
            self.dir, ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ch1:CLICKHOUSE"],
            {"ct1": f"active_timeout={1 if i < GATEWAYS else 600}\nactive_counters={counters}\nreliable=1\n",
             "db1": f'db="{self.dir}/db"\ntable=flows\n',
             "ch1": f'host="127.0.0.1:{self.relay.port}"\nexporter={self.name}\n'
                    f"batch_time={wait}\nreconnect=200ms\n"}))
        self.sockets = []

    def talk(self, times):
        """Flows that go on."""
        while len(self.sockets) < LONG:
            s = self.lab.socket(self.name, socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("10.66.0.1", PORT + len(self.sockets)))
            s.connect(("10.66.9.9", 9))
            self.sockets.append(s)
        for s in self.sockets:
            for _ in range(times):
                s.send(b"x" * (s.getsockname()[1] % 100))

    def flood(self, tmp):
        self.lab.run(self.name, labs.helper("flood", tmp), str(self.short), timeout=300)

    def end(self, *ports):
        for port in ports:
            self.lab.run(self.name, "conntrack", "-D", "-p", "udp", "--orig-port-src",
                         str(PORT + port))

    def ours(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.dir}/db?mode=ro", uri=True)) as db:
            return sorted("\t".join("\\N" if v is None else str(v) for v in row)
                          for row in db.execute(sql))

    def theirs(self, columns, table):
        return sorted(self.ch.sql(f"SELECT {columns} FROM ctflow.{table} WHERE exporter ="
                                  f" '{self.name}'").splitlines())

    def columns(self, view):
        with contextlib.closing(sqlite3.connect(f"file:{self.dir}/db?mode=ro", uri=True)) as db:
            return ", ".join(f'"{row[1]}"' for row in db.execute(f"PRAGMA table_info({view})"))

    def differs(self, view, columns=None, where="1 = 1"):
        """What only one of the two has."""
        columns = columns or self.columns(view)
        a = self.ours(f"SELECT {columns} FROM {view} WHERE {where}")
        b = sorted(self.ch.sql(f"SELECT {columns} FROM ctflow.{view} WHERE {where} AND exporter ="
                               f" '{self.name}'").splitlines())
        if a != b:
            yield (f"{self.name}: {view}: {len(a)} rows in SQLite, {len(b)} there; only here "
                   f"{sorted(set(a) - set(b))[:2]}, only there {sorted(set(b) - set(a))[:2]}")

    def open_ports(self):
        columns = "sport, orig_packets, orig_bytes, start_ns"
        return (self.ours(f"SELECT {columns} FROM open_flows WHERE sport >= {PORT}"),
                sorted(ln for ln in self.theirs(columns, "open_flows")
                       if int(ln.split("\t")[0]) >= PORT))


def is_open(gateway, ports, packets):
    def agree():
        a, b = gateway.open_ports()
        want = {PORT + p: packets for p in ports}
        return a == b and {int(r.split("\t")[0]): int(r.split("\t")[1]) for r in b} == want
    until(f"open flows of {gateway.name} in both", agree, 300, step=0.3)


def killed(gateway):
    """Nobody hears that a long flow ends: in both it is lost, and there is a gap."""
    gateway.daemon.send(signal.SIGKILL)
    gateway.daemon.child.wait()
    gateway.end(0)
    gateway.daemon.start()
    until("a lost flow", lambda: any(ln.split("\t")[1] == "0" for ln in gateway.theirs(
        "sport, end_reason", "flows")), 300, step=0.3)
    until("the gap", lambda: gateway.theirs("cause", "gaps").count("restart") == 1 and
          gateway.ours("SELECT cause FROM gaps WHERE instance = 'ct1'") == ["restart"], step=0.3)


def gathered(lab, tmp, ch):
    """Flows that end one after the other: an insert for each, or one for all of a while."""
    inserts = {}
    for i, wait in (100, "0"), (101, "10s"):
        g = Gateway(lab, tmp, ch, i, wait)
        g.talk(1)
        g.daemon.start()
        for port in range(LONG):
            g.end(port)
            time.sleep(0.6)
        g.daemon.stop()
        if len(g.theirs("id", "flows")) != LONG:
            yield f"batch_time={wait}: {len(g.theirs('id', 'flows'))} flows"
        g.relay.close()
        inserts[wait] = g.relay.inserts
    if inserts["10s"] != 1 or inserts["0"] < 2:
        yield f"inserts of flows by batch_time: {inserts}"


def totals(gateways, ch):
    got = dict(ln.split("\t") for ln in ch.sql(
        "SELECT exporter, toString(count()) FROM ctflow.flows GROUP BY exporter").splitlines())
    want = {g.name: str(g.short + LONG) for g in gateways}
    if got != want:
        yield f"flows of each: {got}, not {want}"
    n = ch.number(f"SELECT sum(orig_packets) FROM ctflow.flows WHERE sport >= {PORT}")
    if n != GATEWAYS * LONG * 10:
        yield f"{n} packets of long flows"


def test(lab, tmp):
    problems = []
    with Clickhouse(tmp) as ch:
        ch.make(lab, tmp)
        gateways = [Gateway(lab, tmp, ch, i) for i in range(GATEWAYS)]
        for g in gateways:
            g.talk(7)
            g.daemon.start()
        for g in gateways:
            g.flood(tmp)
        for g in gateways:
            is_open(g, range(LONG), 7)
        gateways[1].daemon.stop()  # what its sweeps took is added up on the server
        gateways[1].daemon.start()
        for g in gateways:
            g.talk(3)
        for g in gateways:
            is_open(g, range(LONG), 10)
        killed(gateways[0])
        for g in gateways[1:]:
            g.end(0)
        for g in gateways:
            is_open(g, range(1, LONG), 10)
            lab.run(g.name, "conntrack", "-F")
        for g in gateways:
            until("all ends", lambda g=g: len(g.theirs("id", "flows")) >= g.short + LONG, 300, 0.2)
        for g in gateways:
            g.daemon.stop()
        problems += totals(gateways, ch)
        for g in gateways:
            problems += [*g.differs("flows"), *g.differs("open_flows")]
            if g is not gateways[0]:  # whose last sign of life need not be the same
                problems += [*g.differs("coverage", COVERAGE),
                             *g.differs("gaps", GAPS, "instance = 'ct1'")]
            g.relay.close()
        problems += gathered(lab, tmp, ch)
    return problems


os.environ["PATH"] += ":/usr/sbin"
if not os.access(BIN, os.X_OK):
    labs.skip("needs clickhouse-server")
if __name__ == "__main__":
    scene.main(test)
