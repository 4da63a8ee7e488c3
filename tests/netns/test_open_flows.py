#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Flows that outlive the daemon, in a database: flows + open_flows = the truth.

Datagrams of known sizes in flows that last as long as the test.  Whenever
nothing was sent since a sweep, both views together have exactly what was sent:
while some flows end, while the daemon is restarted, killed, and away.  What
ended unheard stays with what it had counted, as lost, until nothing is open.
"""
import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from fdstore import Manager, Service  # noqa: E402

NS = "open"
PEER = "10.66.9.9"
FLOWS = 40
PORT = 20000
HEADERS = 28  # IPv4 and UDP
BOTH = """SELECT sport, sum(p), sum(b) FROM
          (SELECT sport, orig_packets AS p, orig_bytes AS b FROM flows UNION ALL
           SELECT sport, orig_packets, orig_bytes FROM open_flows) GROUP BY sport"""


class Senders:
    """One socket a flow, and what each has sent."""

    def __init__(self, lab):
        self.truth, self.sockets = {}, []
        for port in range(PORT, PORT + FLOWS):
            s = lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(("10.66.0.1", port))
            s.connect((PEER, 9))
            self.sockets.append(s)
            self.truth[port] = (0, 0)

    def send(self, first, upto, times):
        for s in self.sockets[first:upto]:
            port = s.getsockname()[1]
            for i in range(times):
                n = s.send(b"x" * (1 + (port * 7 + i * 131) % 1000))
                packets, size = self.truth[port]
                self.truth[port] = (packets + 1, size + n + HEADERS)


class Scene:
    """A daemon with a native database, restarted as often as wanted."""

    def __init__(self, lab, tmp, name, counters):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.conf = configuration(self.dir, ["ct1:NFCT,db1:SQLITE3"], {
            "ct1": f'active_timeout=1\nactive_counters="{counters}"\nreliable=1\n',
            "db1": f'db="{self.dir}/db"\ntable="flows"\n'})
        self.daemon = None
        self.senders = Senders(lab)

    def start(self):
        self.daemon = Daemon(self.lab, NS, self.dir, self.conf).start()
        self.daemon.wait_log("entering main loop")

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.dir}/db?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    def number(self, sql):
        return self.query(sql)[0][0]

    def have(self):
        with contextlib.suppress(sqlite3.OperationalError):
            return {port: (p, b) for port, p, b in self.query(BOTH)}
        return {}

    def wrong(self):
        have, truth = self.have(), self.senders.truth
        return {p: (have.get(p), truth[p]) for p in truth
                if have.get(p, (0, 0)) != truth[p]}

    def settle(self, what):
        """A sweep since the last packet has to bring all of it."""
        try:
            until(what, lambda: not self.wrong(), step=0.2)
        except Exception as e:
            raise AssertionError(f"{what}: (has, sent) {self.wrong()}\n"
                                 f"{self.daemon.words()}") from e

    def stays(self, what, seconds):
        """Nothing is sent: not for a moment may it be anything else."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bad = self.wrong()
            assert not bad, f"{what}: (has, sent) {bad}\n{self.daemon.words()}"
            time.sleep(0.02)

    def finish(self, first, upto):
        for port in range(PORT + first, PORT + upto):
            self.lab.run(NS, "conntrack", "-D", "-p", "udp", "--orig-port-src", str(port))

    def count(self, finished, living, what):
        got = self.query("SELECT (SELECT count(*) FROM flows), (SELECT count(*) FROM open_flows)")
        assert got == [(finished, living)], f"{what}: finished and open {got}"


def play(lab, tmp, counters):
    """Over a restart and crashes."""
    s = Scene(lab, tmp, counters, counters)
    s.senders.send(0, 30, 5)  # before it is there
    s.start()
    s.settle("the start")
    s.senders.send(0, FLOWS, 7)
    s.settle("a sweep")
    s.senders.send(0, FLOWS, 3)
    s.settle("the next one")
    s.count(0, FLOWS, "while all live")
    s.finish(0, 10)
    s.stays("some end", 3)
    until("their rows", lambda: s.number("SELECT count(*) FROM flows") == 10)
    s.count(10, FLOWS - 10, "ten have ended")

    s.daemon.stop()
    s.senders.send(10, FLOWS, 4)
    s.start()
    s.settle("after a restart")
    s.daemon.send(signal.SIGKILL)
    s.daemon.child.wait()
    s.finish(10, 15)  # unheard: a gap, and lost
    s.start()
    s.stays("after a crash", 1)
    until("lost flows", lambda: s.number(
        "SELECT count(*) FROM flows WHERE end_reason = 0") == 5, step=0.2)
    s.stays("lost flows", 1)
    assert s.number("SELECT count(*) FROM gaps WHERE cause = 'restart'"
                    " AND instance = 'ct1'") == 1, s.query("SELECT * FROM gaps")
    s.senders.send(15, FLOWS, 2)
    s.settle("after all that")

    # Again, and nothing but the database knows of it.
    s.daemon.send(signal.SIGKILL)
    s.daemon.child.wait()
    shutil.rmtree(f"{s.dir}/state")
    alive = s.number("SELECT last_alive_ns FROM coverage WHERE to_ns IS NULL")
    s.start()
    until("the gap", lambda: s.number("SELECT count(*) FROM gaps WHERE cause = 'restart'"
                                      f" AND from_ns = {alive} AND instance = 'ct1'") == 1)
    s.stays("without its state", 1)

    s.finish(15, FLOWS)
    until("all to end", lambda: s.number("SELECT count(*) FROM open_flows") == 0, step=0.1)
    s.stays("the end", 1)
    s.count(FLOWS, 0, "the end")
    assert s.number("SELECT count(*) FROM flows WHERE end_reason <> 0"
                    " AND destroy_ns IS NOT NULL") == FLOWS - 5
    s.daemon.stop()
    packets = sum(p for p, _ in s.senders.truth.values())
    print(f"active_counters={counters}: {FLOWS} flows, {packets} packets, each counted once")


def handed_over(lab, tmp, counters):
    """From process to process: no gap, and each stretch of coverage has its end."""
    s = Scene(lab, tmp, f"{counters}-handed", counters)
    s.daemon = Service(lab, NS, s.dir, s.conf, Manager(s.dir)).start()
    for run in range(3):
        s.senders.send(10 * run, FLOWS, 6)
        s.settle(f"run {run}")
        s.daemon.hand_over()
        s.finish(10 * run, 10 * run + 10)  # heard by the next one
        s.daemon.start()
        until("ends of while nobody was there", lambda want=10 * run + 10: s.number(
            "SELECT count(*) FROM flows") == want)
        s.stays(f"run {run}", 0.5)
    s.count(30, FLOWS - 30, "after three runs")
    assert s.query("SELECT * FROM gaps") == [], s.query("SELECT * FROM gaps")
    got = s.query("SELECT to_ns >= last_alive_ns FROM coverage ORDER BY from_ns")
    assert [r[0] for r in got][-1] is None and all(r[0] for r in got[:-1]) and \
        len(got) >= 4, got
    s.daemon.stop(signal.SIGINT)
    print(f"active_counters={counters}: handed over three times")


def main():
    labs.need_root()
    labs.host_lock()
    with tempfile.TemporaryDirectory(prefix="ctflowd-") as tmp, labs.Lab() as lab:
        for counters in ("total", "delta"):
            labs.flood_ns(lab, NS)
            lab.sysctl(NS, events=1)  # what is older than the daemon tells its end, too
            play(lab, tmp, counters)
            if counters == "delta":
                handed_over(lab, tmp, counters)
            os.close(lab.ns.pop(NS))


if __name__ == "__main__":
    main()
