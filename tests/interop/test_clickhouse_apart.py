#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two ClickHouse servers that share nothing: what each proves is what it was sent.

The first fails, the other takes over, and later the first does again.  Of the time when
flows went to the other, `ctflow who` on either says UNKNOWN and never NONE.  Then two
daemons that share a name and should not.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]
import lab as labs  # noqa: E402
from clickhouse import BIN, Clickhouse  # noqa: E402
from clickhouse_asked import SEC, T0, at, run  # noqa: E402
from clickhouse_fakes import Door  # noqa: E402
from daemon import until  # noqa: E402
from history import History, build  # noqa: E402

STEP = 10  # seconds between two signs of life
TURNS, TURN = 3, 30  # servers in turn, so many signs of life each


def told(first, last):
    """Signs of life, sweeps that show nothing, and a flow of every tenth."""
    h = History()
    for i in range(first, last):
        now = T0 + i * STEP * SEC
        h.sweep(now, previous_ns=now - STEP * SEC, min_age_ns=0, complete=1)
        if i % 10 == 5:
            h.flow(src="10.0.0.1", dst="192.0.2.1", proto=6, sport=i, dport=2,
                   start=now - SEC, end=now, destroy=now, id=i)
        h.coverage(T0, now)
        h.commit()
    return "".join(line + "\n" for line in h.told)


def fed(servers, doors):
    hosts = ", ".join(f"127.0.0.1:{d.port}" for d in doors)
    child = subprocess.Popen(  # pylint: disable=consider-using-with
        [build("tests/query/history_clickhouse"), hosts, "--exporter", "gw", "--create", "yes"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for turn in range(TURNS):
        server, until_i = servers[turn % 2], (turn + 1) * TURN
        doors[(turn + 1) % 2].shut, doors[turn % 2].shut = True, False
        child.stdin.write(told(turn * TURN, until_i))
        child.stdin.flush()
        until("all of it", lambda s=server, n=until_i: has(s, n - 1), 300, step=0.05)
    doors[1].shut = False
    said, _ = child.communicate(timeout=300)
    assert child.returncode == 0, said


def has(server, i):
    try:
        return server.number("SELECT max(last_alive_ns) FROM ctflow.coverage_raw") == (
            T0 + i * STEP * SEC)
    except Exception:  # pylint: disable=broad-except
        return False


def verdict(server, i):
    url = f"clickhouse://127.0.0.1:{server.port}/ctflow"
    said = run([url], "who", "203.0.113.77:7", "tcp", "at", at(T0 + i * STEP * SEC))
    return json.loads(said.stdout)["verdict"]


class Host:
    """A daemon of that boot, fed as one likes."""

    def __init__(self, server, boot):
        self.server, self.boot = server, boot
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            [build("tests/query/history_clickhouse"), f"127.0.0.1:{server.port}", "--exporter",
             "same", "--db", "same", "--create", "yes"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def lives(self, i):
        h = History()
        h.coverage(T0, T0 + i * STEP * SEC, boot_id=self.boot)
        h.commit()
        self.child.stdin.write("".join(line + "\n" for line in h.told))
        self.child.stdin.flush()
        until("that", lambda: self.server.sql(
            "SELECT count() FROM system.tables WHERE database = 'same' AND name = 'coverage'")
            == "1\n" and self.server.number("SELECT max(last_alive_ns) FROM same.coverage_raw "
                                            f"WHERE boot_id = '{self.boot}'") == (
            T0 + i * STEP * SEC), 150, step=0.05)

    def said(self):
        out = self.child.communicate(timeout=150)[0]
        assert self.child.returncode == 0, out
        return "another host feeds" in out


def one_name(server):
    """Two hosts with one name are told so; a host that was booted again is not."""
    first = Host(server, "boot-1")
    for i in range(0, 20, 5):
        first.lives(i)
    assert not first.said()
    again, clone = Host(server, "boot-2"), Host(server, "boot-3")
    for i in range(20, 50, 5):
        again.lives(i)
    clone.lives(51)
    again.lives(55)
    clone.lives(56)
    assert (again.said(), clone.said()) == (True, True)
    last = Host(server, "boot-4")
    for i in range(60, 80, 5):
        last.lives(i)
    assert not last.said()


def test(tmp):
    with Clickhouse(tmp, "a") as a, Clickhouse(tmp, "b") as b:
        doors = [Door(a.port), Door(b.port)]
        fed((a, b), doors)
        for d in doors:
            d.close()
            assert not d.bare, d.bare
        # each has its own, and the middle of each turn is proven where it was heard
        assert a.count() == 6 and b.count() == 3, (a.count(), b.count())
        got = {n: [verdict(s, TURN * t + TURN // 2) for t in range(TURNS)]
               for n, s in (("a", a), ("b", b))}
        assert got == {"a": ["NONE", "UNKNOWN", "NONE"],
                       "b": ["UNKNOWN", "NONE", "UNKNOWN"]}, got
        edges = {n: [verdict(s, i) for i in (TURN, 2 * TURN - 1)] for n, s in (("a", a),)}
        assert edges == {"a": ["UNKNOWN", "UNKNOWN"]}, edges
        spans = [s.sql("SELECT count() FROM ctflow.coverage").strip() for s in (a, b)]
        assert spans == ["2", "1"], spans
        one_name(a)


if not os.access(BIN, os.X_OK):
    labs.skip("needs clickhouse-server")
with tempfile.TemporaryDirectory() as folder:
    test(folder)
