#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Outputs that stand still: flows made = flows delivered + gaps, memory bounded.

A collector that does not read, and a database another process has locked.
While the socket is less than half full the input waits and nothing is lost;
beyond that the oldest are dropped, and a gap says exactly how many.  The
output beside it gets everything.
"""
import json
import os
import re
import signal
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, lines, text, until  # noqa: E402
from sinks import TcpSink  # noqa: E402

NS = "stalled"
MANY = 60000  # 77 MB of events: much more than the receive buffer
FEW = 3000  # less than half of it
HALF = 8000  # events: a little more than half of it
MEMORY = 48 << 10  # KiB the daemon may grow by, sanitizer included
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"


def resident(daemon):
    return int(daemon.status("VmRSS").split()[0])


def burst(lab, flood, count):
    lab.run(NS, flood, str(count), timeout=300)
    lab.run(NS, "conntrack", "-F", timeout=300)


def gaps_in_text(path):
    """Sum of the gaps LOGEMU says, and its lines that are flows."""
    counts = [int(m[1]) for m in re.finditer(r"\[GAP\].* COUNT=(\d+) ", text(path))]
    return sum(counts), lines(path) - len(counts)


class Stalled:
    """A daemon with one stalled output and LOGEMU beside it."""

    def __init__(self, lab, tmp, name, stack, options):
        self.lab, self.dir = lab, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.daemon = Daemon(lab, NS, self.dir, configuration(self.dir, [TEXT, stack], {
            "emu1": f'file="{self.dir}/emu"\n',
            stack.split(",")[-1].split(":")[0]: options}))
        self.daemon.start()
        self.daemon.wait_log("entering main loop")
        self.before = resident(self.daemon)

    def text_has(self, count):
        until(f"{count} lines of text beside it",
              lambda: lines(f"{self.dir}/emu") >= count)

    def end(self, name, made, delivered, gaps):
        """Problems; the daemon is stopped."""
        grown = resident(self.daemon) - self.before
        lost, flows = gaps_in_text(f"{self.dir}/emu")
        print(f"{name}: {made} made, {delivered} delivered, {gaps} in gaps, "
              f"{flows} beside it, {grown} KiB more memory")
        if delivered + gaps != made:
            yield f"{name}: {delivered} delivered and {gaps} in gaps, {made} made"
        if flows != made or lost:
            yield f"{name}: the output beside it has {flows} flows and {lost} in gaps"
        if grown > MEMORY:
            yield f"{name}: {grown} KiB more memory"


def database(path):
    """(rows, flows in gaps)"""
    with sqlite3.connect(path, timeout=10) as db:
        return db.execute("SELECT (SELECT count(*) FROM flows), "
                          "(SELECT coalesce(sum(count), 0) FROM gaps)").fetchone()


def locked_database(lab, tmp, flood, name, count):
    """Locked while count flows end; released; all must be accounted for."""
    path = os.path.join(tmp, name, "flows.db")
    s = Stalled(lab, tmp, name, "ct1:NFCT,db1:SQLITE3",
                f'db="{path}"\ntable="flows"\nqueue=64K\n')
    burst(lab, flood, 10)
    until("the first rows", lambda: database(path)[0] == 10)
    lock = sqlite3.connect(path, isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    burst(lab, flood, count)
    if count == MANY:
        s.text_has(10 + count - HALF)  # the rest waits in the socket
    lock.execute("ROLLBACK")
    lock.close()
    made = 10 + count
    s.text_has(made)
    until("all to be accounted for", lambda: sum(database(path)) >= made)
    problems = list(s.end(name, made, *database(path)))
    s.daemon.stop()
    if count == FEW and database(path)[1]:
        problems.append(f"{name}: the input did not wait: {database(path)[1]} in gaps")
    if count == MANY and not database(path)[1]:
        problems.append(f"{name}: nothing was dropped, the test shows nothing")
    return problems


def accounted(sink):
    """(flows, flows in gaps) of a JSON session so far."""
    flows = gaps = 0
    for line in b"".join(bytes(s) for s in sink.sessions).splitlines(keepends=True):
        if line.endswith(b"\n"):
            record = json.loads(line)
            if "gap.count" in record:
                gaps += record["gap.count"]
            else:
                flows += 1
    return flows, gaps


def silent_collector(lab, tmp, flood):
    """Accepts, but reads nothing until all flows have ended."""
    sink = TcpSink(lab, NS, 9000, hold=True, rcvbuf=4096)
    s = Stalled(lab, tmp, "collector", "ct1:NFCT,ip1:IP2STR,json1:JSON",
                'mode=tcp\nhost=127.0.0.1\nport=9000\nqueue=64K\n')
    burst(lab, flood, MANY)
    s.text_has(MANY - HALF)
    sink.release()
    s.text_has(MANY)
    until("all to be accounted for", lambda: sum(accounted(sink)) >= MANY, step=0.5)
    problems = list(s.end("collector", MANY, *accounted(sink)))
    s.daemon.stop()
    sink.close()
    if not accounted(sink)[1]:
        problems.append("collector: nothing was dropped, the test shows nothing")
    return problems


def stop_with_backlog(lab, tmp, flood):
    """Told to end with more unread than its socket holds: all is written first."""
    count = 20000  # the receive buffer holds 13,107
    path = f"{tmp}/backlog/flows.db"
    s = Stalled(lab, tmp, "backlog", "ct1:NFCT,db1:SQLITE3",
                f'db="{path}"\ntable="flows"\n')
    s.daemon.send(signal.SIGSTOP)
    until("it to stop", lambda: s.daemon.status("State").startswith("T"))
    burst(lab, flood, count)
    s.daemon.send(signal.SIGTERM)
    s.daemon.stop(signal.SIGCONT)
    lost, flows = gaps_in_text(f"{s.dir}/emu")
    rows, gaps = database(path)
    print(f"backlog: {count} made, {rows} rows, {flows} lines")
    if (rows, gaps, flows, lost) != (count, 0, count, 0):
        return [f"backlog: {rows} rows, {gaps} in gaps, {flows} lines, {lost} in gaps"]
    return []


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    flood = labs.helper("flood", tmp)
    return locked_database(lab, tmp, flood, "paused", FEW) + \
        locked_database(lab, tmp, flood, "locked", MANY) + \
        silent_collector(lab, tmp, flood) + \
        stop_with_backlog(lab, tmp, flood)


scene.main(test)
