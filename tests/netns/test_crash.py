#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd dies, or ends without having delivered: the next start says what is lost.

What it had read is delivered or in a gap of that output, with its count; what
ended while nobody listened is a gap without one; after an end in order there
is none.
"""
import collections
import glob
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import LIMIT, Daemon, configuration, lines, read_all, text, until  # noqa: E402

NS = "crash"
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"
GPRINT = "ct1:NFCT,ip1:IP2STR,gp1:GPRINT"
JSON = "ct1:NFCT,ip1:IP2STR,json1:JSON"
ROWS = "ct1:NFCT,db1:SQLITE3"
Gap = collections.namedtuple("Gap", "cause count is_", defaults=(None,))
GAP = re.compile(r"\[GAP\] .*CAUSE=(\S+) COUNT=(\d+|\?)")
SEED = int(os.environ.get("CTF_SEED", time.time_ns() % 1000000))


class Crash:
    """A daemon that writes text and a database, started again and again."""

    def __init__(self, lab, tmp, name, more="", stacks=(TEXT, ROWS)):
        self.lab, self.name, self.dir = lab, name, os.path.join(tmp, name)
        os.mkdir(self.dir)
        self.emu, self.db = f"{self.dir}/emu", f"{self.dir}/flows.db"
        self.json, self.gprint = f"{self.dir}/json", f"{self.dir}/gprint"
        conf = configuration(self.dir, stacks, {
            "emu1": f'file="{self.emu}"\n', "db1": f'db="{self.db}"\ntable="flows"\n',
            "json1": f'file="{self.json}"\n', "gp1": f'file="{self.gprint}"\n'})
        self.daemon = Daemon(lab, NS, self.dir, conf.replace("\nstack", f"\n{more}stack", 1))
        self.flood = labs.helper("flood", tmp)
        self.start()

    def start(self):
        open(f"{self.dir}/log", "w", encoding="ascii").close()
        self.daemon.start()
        self.daemon.wait_log("entering main loop")

    def make(self, count):
        """That many flows, all read by the daemon."""
        self.lab.run(NS, self.flood, str(count), timeout=300)
        self.lab.run(NS, "conntrack", "-F", timeout=300)
        read_all(self.lab, NS, self.daemon.pid)

    def kill(self):
        self.daemon.send(signal.SIGKILL)
        self.daemon.wait()

    def lines(self):
        """How many whole lines of text are flows, and the gaps."""
        said = text(self.emu)
        gaps = [Gap(m[1], None if m[2] == "?" else int(m[2]))
                for m in GAP.finditer(said)]
        return len(whole_lines(said)), gaps

    def others(self):
        """The same of GPRINT, and of JSON."""
        said = text(self.gprint)
        gaps = [int(m[2]) for m in GAP.finditer(said) if m[2] != "?"]
        whole = re.findall(r"^[a-z][^\n]*,reply\.raw\.pktlen=\d+[^\n]*\n", said, re.M)
        yield "GPRINT", len(whole), gaps
        gaps, flows = [], 0
        for line in text(self.json).splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue  # torn
            flows += "orig.ip.protocol" in record
            gaps.append(record.get("gap.count") or 0)
        yield "JSON", flows, [g for g in gaps if g]

    def rows(self):
        """Rows of the database, and its gaps."""
        with sqlite3.connect(self.db, timeout=10) as db:
            n = db.execute("SELECT count(*) FROM flows").fetchone()[0]
            gaps = db.execute("SELECT cause, count, count_is FROM gaps")
            return n, [Gap(*g) for g in gaps]


def whole_lines(said):
    return [w for w in said.split("\n") if re.search(r"\[DESTROY\] .*BYTES=\d+ $", w)]


def restart(gaps):
    return [g for g in gaps if g.cause == "restart"]


def expect(name, have, want):
    if have != want:
        yield f"{name}: {have} instead of {want}"


def locked(path):
    lock = sqlite3.connect(path, isolation_level=None, timeout=10)
    lock.execute("BEGIN IMMEDIATE")
    return lock


def unlock(lock):
    lock.execute("ROLLBACK")
    lock.close()


def killed_with_a_stalled_output(lab, tmp):
    """The database is locked: what waited for it is lost, and counted exactly."""
    c = Crash(lab, tmp, "stalled")
    c.make(1000)
    until("the rows", lambda: c.rows()[0] == 1000)
    lock = locked(c.db)
    c.make(5000)
    until("the text", lambda: c.lines()[0] == 6000)
    c.kill()
    unlock(lock)
    c.start()
    c.make(10)
    until("the new rows", lambda: c.rows()[0] == 1010)
    until("the new text", lambda: c.lines()[0] == 6010)
    rows, gaps = c.rows()
    c.daemon.stop()
    counted = [g for g in restart(gaps) if g.count is not None]
    print(f"stalled: 6010 made, {rows} rows, gaps {gaps}")
    yield from expect("stalled: gaps that count", counted, [Gap("restart", 5000, "exact")])
    yield from expect("stalled: gaps of the text",
                      [g for g in c.lines()[1] if g.count], [])
    # The guard listened on, and heard nothing.
    yield from expect("stalled: gaps without a count",
                      [g for g in gaps if g.count is None], [])


def killed_before_it_wrote(lab, tmp):
    """Lines are written within a second; it is killed before."""
    c = Crash(lab, tmp, "unwritten", stacks=(TEXT, GPRINT, JSON))
    made = 0
    rng = random.Random(SEED)
    for _ in range(3):
        count = rng.randrange(1, 3000)
        c.make(count)
        made += count
        time.sleep(rng.random() / 4)
        c.kill()
        c.start()
    until("the gaps to be written", lambda: len(restart(c.lines()[1])) >= 3)
    c.daemon.stop()
    flows, gaps = c.lines()
    lost = sum(g.count or 0 for g in gaps)
    print(f"unwritten: seed {SEED}, {made} made, {flows} lines, gaps {gaps}")
    for name, some, counts in c.others():
        print(f"{name}: {some} lines, gaps {counts}")
        if some + sum(counts) != made or not counts:
            yield f"unwritten: {name} has {some} lines, gaps {counts}, {made} made"
    if flows + lost != made:
        yield f"unwritten: {flows} lines and {lost} in gaps, {made} made"
    if not lost:
        yield "unwritten: nothing was lost, the test shows nothing"


def killed_under_load(lab, tmp):
    """In the middle of anything: no line twice, never more than was made."""
    c = Crash(lab, tmp, "load", stacks=(TEXT,))
    rng = random.Random(SEED)
    count = 30000
    for _ in range(3):
        before, (flows, gaps) = lines(c.emu), c.lines()
        lab.run(NS, c.flood, str(count), timeout=300)
        flush = lab.popen(NS, ["conntrack", "-F"], stderr=subprocess.DEVNULL)
        target = before + rng.randrange(1, count - 5000)
        until("some lines", lambda t=target: lines(c.emu) >= t, step=0.001)
        c.kill()
        flush.wait(LIMIT)
        c.start()
        # Some ends may come to this one only: the kernel had kept them.
        until("the gaps", lambda n=flows, g=len(gaps): c.lines()[0] - n + sum(
            gap.count or 0 for gap in c.lines()[1][g:]) >= count)
        new = whole_lines(text(c.emu))[flows:]
        lost = [gap.count for gap in c.lines()[1][len(gaps):]]
        print(f"load: seed {SEED}, {count} made, {len(new)} lines, gaps {lost}")
        # What was read is there once, and the guard has counted what nobody read.
        if None in lost or not count <= len(new) + sum(lost) <= count + 128:
            yield f"load: {len(new)} lines, gaps {lost}, {count} made"
        if len(set(new)) != len(new):
            yield f"load: {len(new)} lines, {len(set(new))} distinct"
    c.daemon.stop()


def all_told(rows, gaps):
    return rows + sum(g.count or 0 for g in gaps)


class Rows:
    """A database and how often its writer was killed."""

    def __init__(self, lab, tmp):
        self.lab, self.rng, self.made = lab, random.Random(SEED), 0
        self.c = Crash(lab, tmp, "rows", stacks=(ROWS,))

    def flows(self):
        """Which of the flows made have a row, in no order."""
        with sqlite3.connect(self.c.db, timeout=10) as db:
            return [(int(a.split(".")[3]) - 1) * 50000 + p - 1024
                    for a, p in db.execute("SELECT dst, dport FROM flows")]

    def stored(self):
        """How many there are; 0 also before the table is made."""
        try:
            return self.c.rows()[0]
        except sqlite3.OperationalError:
            return 0

    def kill(self, count):
        """In the middle of that many, sooner or later."""
        before = self.stored()
        self.lab.run(NS, self.c.flood, str(count), "0", str(self.made), timeout=300)
        self.made += count
        flush = self.lab.popen(NS, ["conntrack", "-F"], stderr=subprocess.DEVNULL)
        until("some rows", lambda: self.stored() > before, step=0.001)
        time.sleep(self.rng.random() / 5)
        self.c.kill()
        flush.wait(LIMIT)

    def left(self):
        """What the file as it was left says of itself, without mending it."""
        copy = f"{self.c.dir}/copy.db"
        for end in ("", "-wal"):
            if os.path.exists(self.c.db + end):
                shutil.copyfile(self.c.db + end, copy + end)
        with sqlite3.connect(copy) as db:
            said = db.execute("PRAGMA integrity_check").fetchone()[0]
        db.close()
        for end in ("", "-wal", "-shm"):
            if os.path.exists(copy + end):
                os.unlink(copy + end)
        return said


def rows_killed_ten_times(lab, tmp):
    """The database is whole each time; none is there twice, and what is missing counted."""
    r = Rows(lab, tmp)
    said = []
    for _ in range(10):
        r.kill(r.rng.randrange(3000, 9000))
        said.append(r.left())
        r.c.start()
        until("rows and gaps", lambda: all_told(*r.c.rows()) >= r.made)
    r.c.daemon.stop()
    flows, gaps = r.flows(), r.c.rows()[1]
    print(f"rows: seed {SEED}, {r.made} made, {len(flows)} rows, gaps {[g[1:] for g in gaps]}")
    yield from expect("rows: integrity after each kill", said + [r.left()], ["ok"] * 11)
    yield from expect("rows: those made, each once", len(flows),
                      len(set(flows) & set(range(r.made))))
    # A batch it was killed in may be there and counted.
    more = all_told(len(flows), gaps) - r.made
    if not gaps or any(g.cause != "restart" or g.count is None for g in gaps) or \
            not 0 <= more <= 128 * sum(g.is_ != "exact" for g in gaps):
        yield f"rows: {len(flows)} rows, {more} too many are told of, gaps {gaps}"


def stopped_with_a_stalled_output(lab, tmp):
    """The end does not wait for ever; what is left is a gap of the next start."""
    yield from stop_stalled(lab, tmp, "stopped", "stop_timeout=500ms\n", 1)


def told_twice_to_stop(lab, tmp):
    """It ends at once, and the gap is the same."""
    yield from stop_stalled(lab, tmp, "hurried", "", 2)


def stop_stalled(lab, tmp, name, more, terms):
    c = Crash(lab, tmp, name, more=more)
    c.make(10)
    until("the rows", lambda: c.rows()[0] == 10)
    lock = locked(c.db)
    c.make(3000)
    for _ in range(terms):
        c.daemon.send(signal.SIGTERM)
        time.sleep(0.2)
    c.daemon.wait()
    unlock(lock)
    c.start()
    until("the gap", lambda: restart(c.rows()[1]))
    c.daemon.stop()
    rows, gaps = c.rows()
    print(f"{name}: 3010 made, {rows} rows, gaps {gaps}")
    yield from expect(f"{name}: rows", rows, 10)
    yield from expect(f"{name}: gaps", gaps, [Gap("restart", 3000, "exact")])
    # It left the table in order: what ends now is nobody's loss.
    yield from expect(f"{name}: text", c.lines(), (3010, []))


def in_order(lab, tmp):
    """Clean stops leave no gap; a damaged page is no reason to fail."""
    c = Crash(lab, tmp, "order")
    for _ in range(2):
        c.make(500)
        c.daemon.stop()
        c.start()
    c.daemon.stop()
    yield from expect("order: gaps", c.rows()[1] + c.lines()[1], [])
    pages = glob.glob(f"{c.dir}/state/*")
    yield from expect("order: pages", len(pages), 1)
    # Damaged, it is replaced, and nothing is refused for it.
    with open(pages[0], "r+b") as f:
        f.write(b"\xff" * 300)
    c.start()
    c.daemon.wait_log("is not a state page")
    c.daemon.stop()


def twice(lab, tmp):
    """A second daemon of the same configuration says so, and does without."""
    c = Crash(lab, tmp, "twice", stacks=(TEXT,))
    other = Daemon(lab, NS, c.dir, text(c.daemon.conf))
    other.start(wait=False)
    c.daemon.wait_log(f"process {c.daemon.pid} has it")
    until("both to listen",
          lambda: sum(int(r[3], 16) & 4 != 0 for r in c.daemon.netlink()) == 2)
    c.make(100)
    other.stop()
    c.make(100)
    c.daemon.stop()
    c.start()
    c.daemon.stop()
    yield from expect("twice: lines and gaps", c.lines(), (300, []))


def test(lab, tmp):
    labs.host_lock()
    print(f"CTF_SEED={SEED}", flush=True)
    labs.flood_ns(lab, NS)
    problems = []
    for scene_of in (killed_with_a_stalled_output, killed_before_it_wrote,
                     killed_under_load, rows_killed_ten_times,
                     stopped_with_a_stalled_output, told_twice_to_stop, in_order, twice):
        begin = time.monotonic()
        problems += scene_of(lab, tmp)
        print(f"{scene_of.__name__}: {time.monotonic() - begin:.1f} s")
    return problems


scene.main(test)
