#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random sequences of faults: flows made = flows delivered + flows in gaps.

    test_faults.py [SEED ...]

Bursts of flows end while the daemon is stopped, killed, handed over, frozen,
beside another reliable listener, without room, with outputs that stand still,
while the clock is set and a namespace vanishes.  In the end, for each output:

* no flow was delivered that was not made; a database has none twice;
* made <= delivered + gaps, and made = delivered + gaps when all are exact;
* a flow that is missing was lost in the time of some gap.

With an even seed the outputs have a spool.
"""
import calendar
import json
import os
import random
import signal
import socket
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Failed, configuration, read_all, until  # noqa: E402
from fdstore import Manager, Service  # noqa: E402

NS = "faults"
STACKS = ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ip1:IP2STR,json1:JSON"]
PORTS, FIRST_PORT = 50000, 1024  # as in flood.c
STEPS = 12
NEAR = 3.0  # seconds a gap may begin late or end early, the clock being set
SOL_NETLINK, ADD_MEMBERSHIP, BROADCAST_ERROR, NO_ENOBUFS = 270, 1, 4, 5


class Burst:
    """Flows first..last, which ended between two moments; where, or None: here."""

    def __init__(self, first, last, begin, end):
        self.first, self.last, self.begin, self.end = first, last, begin, end


class Scene:
    """One daemon and what happens to it."""

    def __init__(self, lab, tmp, seed):
        self.lab, self.dir, self.rng = lab, f"{tmp}/{seed}", random.Random(seed)
        os.mkdir(self.dir)
        self.flood = labs.helper("flood", tmp)
        self.next, self.bursts, self.story = 0, [], []
        self.vanished = 0
        self.spooled = seed % 2 == 0
        self.manager = Manager(self.dir)
        self.daemon = Service(lab, NS, self.dir,
                              configuration(self.dir, STACKS, self.options()), self.manager)
        self.daemon.start()

    def options(self):
        pick = self.rng.choice
        queue = pick(["64K", "64M"])
        self.reliable = pick([1, 1, 1, 0])
        nfct = (f"reliable={self.reliable}\nnamespaces=all\n"
                f"netlink_socket_buffer_size={pick(['16K', '256K', '8M'])}\n")
        store = f"queue={queue}\n"
        if self.spooled:
            store += f'spool_dir="{self.dir}/spool"\nspool_max=1M\nspool_sync=200ms\n'
        self.story.append(f"{nfct!r} queue={queue} {'spool' if self.spooled else ''}")
        return {"ct1": nfct, "db1": f'db="{self.dir}/db"\ntable="flows"\n{store}',
                "json1": f'file="{self.dir}/json"\n{store}'}

    # -- what can happen

    def burst(self, most=6000):
        count = self.rng.randint(200, most)
        begin = time.time()
        self.lab.run(NS, self.flood, str(count), "0", str(self.next), timeout=300)
        self.lab.run(NS, "conntrack", "-F", timeout=300)
        self.bursts.append(Burst(self.next, self.next + count - 1, begin, time.time()))
        self.next += count
        return count

    def quiet(self):
        time.sleep(self.rng.uniform(0.1, 1.0))

    def stop(self):
        """A planned one.  Nothing ends meanwhile: that would be nobody's loss."""
        self.daemon.stop(signal.SIGINT)
        self.manager.drop_all()
        self.daemon.start()

    def stop_handed_over(self):
        """It was a stop after all: what was stored is gone."""
        self.daemon.hand_over()
        self.manager.drop_all()
        self.daemon.start()

    def hand_over(self):
        self.daemon.hand_over()
        if self.rng.random() < 0.7:
            self.burst(2000)
        self.daemon.start()

    def kill(self):
        """Sometimes with all that it had; else what is stored comes back."""
        self.daemon.send(signal.SIGKILL)
        self.daemon.child.wait()
        if self.rng.random() < 0.5:
            self.manager.drop_all()
        if self.rng.random() < 0.5:
            self.burst(2000)
        self.daemon.start()

    def freeze(self):
        self.daemon.send(signal.SIGSTOP)
        self.burst()
        time.sleep(self.rng.uniform(0.0, 2.5))
        self.daemon.send(signal.SIGCONT)

    def lock(self):
        """The database belongs to somebody else for a while."""
        db = sqlite3.connect(f"{self.dir}/db", isolation_level=None, timeout=20)
        db.execute("BEGIN IMMEDIATE")
        self.burst()
        time.sleep(self.rng.uniform(0.0, 1.5))
        db.execute("ROLLBACK")
        db.close()

    def listener(self):
        """Somebody else hears reliably, and does not read."""
        other = self.lab.socket(NS, socket.AF_NETLINK, socket.SOCK_RAW, 12)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        other.bind((0, 0))
        for option in (BROADCAST_ERROR, NO_ENOBUFS):
            other.setsockopt(SOL_NETLINK, option, 1)
        other.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, 3)
        self.burst(1500)
        time.sleep(self.rng.uniform(0.5, 1.5))
        other.close()

    def clock(self):
        """Set and put back."""
        step = self.rng.choice([-2, 2])
        for by in (step, -step):
            time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + by)
            self.burst(1000)

    def vanish(self):
        """A namespace goes with what lived in it."""
        name = f"ctl-{os.getpid()}-{self.next}"
        self.lab.add_named(name)
        labs.flood_inside(self.lab, name)
        self.lab.run(NS, "ip", "netns", "set", name, "auto")
        read_all(self.lab, NS, self.daemon.pid)  # it knows the namespace
        self.lab.run(name, self.flood, "100")
        self.lab.delete_named(name)
        self.vanished += 1

    def play(self):
        steps = [self.burst, self.burst, self.quiet, self.stop, self.stop_handed_over,
                 self.hand_over, self.kill, self.freeze, self.lock, self.listener, self.vanish]
        if may_set_clock():
            steps.append(self.clock)
        for _ in range(STEPS):
            step = self.rng.choice(steps)
            self.story.append(step.__name__)
            step()
        self.burst(1000)
        self.settle()
        self.daemon.stop(signal.SIGINT)

    def settle(self):
        """Until everything that is kept anywhere has come out."""
        until("an empty table", lambda: self.lab.count(NS) == 0)
        sizes = [-1]

        def rests():
            sizes.append(os.path.getsize(f"{self.dir}/json"))
            return sizes[-1] == sizes[-2]
        until("the outputs to rest", rests, step=1.2)


def may_set_clock():
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
        return True
    except OSError:
        return False


def index(address, port):
    d = int(address.rsplit(".", 1)[1])
    return (d - 1) * PORTS + port - FIRST_PORT


def database(path):
    """(flows of the own namespace, gaps there)"""
    with sqlite3.connect(path) as db:
        flows = [index(*r) for r in db.execute("SELECT dst, dport FROM flows WHERE nsid IS NULL")]
        gaps = db.execute("SELECT cause, from_ns, to_ns, count, count_is FROM gaps "
                          "WHERE nsid IS NULL").fetchall()
        vanished, = db.execute("SELECT count(*) FROM gaps WHERE nsid IS NOT NULL").fetchone()
    return flows, gaps, vanished


def lines(path):
    """The same of JSON lines; after a kill some may be there twice."""
    flows, gaps, vanished = set(), [], 0
    with open(path, encoding="ascii") as f:
        for line in f:
            try:
                r = json.loads(line)
            except ValueError:
                continue  # torn by a kill
            if "gap.cause" in r:
                if r["gap.cause"] == "namespace":
                    vanished += 1
                    continue
                gaps.append((r["gap.cause"], ns(r["gap.from"]), ns(r["gap.to"]),
                             r["gap.count"], r["gap.count_is"]))
            elif "ct.nsid" not in r:
                flows.add(index(r["dest_ip"], r["orig.l4.dport"]))
    return flows, gaps, vanished


def ns(text):
    seconds = time.strptime(text.rstrip("Z").split(".")[0], "%Y-%m-%dT%H:%M:%S")
    return calendar.timegm(seconds) * 10**9


def covered(burst, gaps):
    return any(g[1] / 1e9 - NEAR <= burst.end and burst.begin <= g[2] / 1e9 + NEAR for g in gaps)


def judge(name, scene_, flows, gaps, vanished):
    made, distinct = scene_.next, set(flows)
    known = sum(g[3] or 0 for g in gaps)
    kinds = {g[4] for g in gaps}
    print(f"  {name}: {made} made, {len(distinct)} delivered, {known} in {len(gaps)} gaps "
          f"({', '.join(sorted({g[0] for g in gaps}))})")
    if isinstance(flows, list) and len(flows) != len(distinct):
        yield f"{name}: {len(flows)} rows of {len(distinct)} flows"
    if distinct - set(range(made)):
        yield f"{name}: flows that were never made"
    if "unknown" not in kinds and made > len(distinct) + known:
        yield f"{name}: {made} made, {len(distinct)} delivered, {known} in gaps"
    if kinds <= {"exact"} and made != len(distinct) + known:
        yield f"{name}: {made} made, {len(distinct)} delivered, exactly {known} in gaps"
    for b in scene_.bursts:
        missing = b.last + 1 - b.first - sum(i in distinct for i in range(b.first, b.last + 1))
        if missing and not covered(b, gaps):
            yield f"{name}: {missing} of the flows {b.first}-{b.last} are in no gap"
    # a gap without a count is part of another one when that is lost in its turn
    if vanished > scene_.vanished or (vanished < scene_.vanished and "unknown" not in kinds):
        yield f"{name}: {scene_.vanished} namespaces vanished, {vanished} gaps"


def test(lab, tmp):
    labs.host_lock(exclusive=True)
    labs.flood_ns(lab, NS)
    lab.sysctl(NS, events=1)
    problems = []
    seeds = [int(a) for a in sys.argv[1:]] or \
        [int(s) for s in os.environ.get("CTF_SEEDS", "1 2 3").split()]
    for seed in seeds:
        s = Scene(lab, tmp, seed)
        try:
            s.play()
        except Exception as e:
            raise Failed(f"seed {seed}: {s.story}: {e}") from e
        print(f"seed {seed}: {' '.join(s.story)}")
        found = list(judge("database", s, *database(f"{s.dir}/db"))) + \
            list(judge("json", s, *lines(f"{s.dir}/json")))
        problems += [f"seed {seed} ({' '.join(s.story)}): {p}" for p in found]
    return problems


scene.main(test)
