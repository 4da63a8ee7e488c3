#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""namespaces=all: three namespaces are used, one is deleted, one has no id.

Every record has the id and the name of its namespace, none is missing, and the
deletion is a gap.  The same as an unprivileged user.
"""
import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402

HOME = "home"
A, B, C, DEAF = (f"ctl-{os.getpid()}-{x}" for x in ("a", "b", "c", "deaf"))
NET_BROADCAST = 1 << 11
STACKS = ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ip1:IP2STR,db2:SQLITE3",
          "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"]
TABLE = "CREATE TABLE old(ct_nsid INTEGER, ct_netns TEXT, orig_l4_dport INTEGER, " \
    "orig_raw_pktlen INTEGER)"


def query(path, sql):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
        return db.execute(sql).fetchall()


def by_namespace(path):
    """{name: (id, flows, flows that differ)}, of a table with ulogd2's names."""
    return {name: (nsid, n, distinct) for name, nsid, n, distinct in query(
        path, "SELECT ct_netns, ct_nsid, count(*), count(DISTINCT orig_l4_dport) "
              "FROM old GROUP BY 1, 2")}


class Used:
    """What was made where."""

    def __init__(self, lab, flood):
        self.lab, self.flood, self.made = lab, flood, {}

    def name(self, name, nsid, **settings):
        self.lab.add_named(name)
        labs.flood_inside(self.lab, name)
        self.lab.sysctl(name, **settings)
        if nsid is not None:
            self.lab.run(HOME, "ip", "netns", "set", name, str(nsid))
            self.made[name] = (nsid, 0, 0)

    def live(self, name, count):
        self.lab.run(name, self.flood, str(count))

    def flows(self, name, count):
        """Flows begin and end; the next ones there are the same again."""
        self.live(name, count)
        self.lab.run(name, "conntrack", "-F")
        key = None if name == HOME else name
        nsid, n, most = self.made.get(key, (None, 0, 0))
        self.made[key] = (nsid, n + count, max(most, count))


def start(lab, tmp, *args):
    os.mkdir(tmp, 0o777)
    os.chmod(tmp, 0o777)
    daemon = Daemon(lab, HOME, tmp, configuration(tmp, STACKS, {
        "ct1": "namespaces=all\nevent_mask=4\n", "emu1": f'file="{tmp}/emu"\nsync=1\n',
        "db1": f'db="{tmp}/flows.db"\ntable="flows"\n',
        "db2": f'db="{tmp}/old.db"\ntable="old"\n'}))
    with sqlite3.connect(f"{tmp}/old.db") as db:
        db.execute(TABLE)
    if args:
        os.chmod(f"{tmp}/old.db", 0o666)
        os.chown(f"{tmp}/old.db", 65534, 65534)
    daemon.start(*args)
    daemon.wait_log("entering main loop")
    return daemon


def check_gap(tmp, nsid, born):
    gaps = until("the gap", lambda: query(
        f"{tmp}/flows.db", "SELECT cause, nsid, count, count_is, from_ns, to_ns FROM gaps"))
    if len(gaps) != 1 or gaps[0][:4] != ("namespace", nsid, None, "unknown"):
        return [f"gaps: {gaps}"]
    if not born <= gaps[0][4] <= gaps[0][5] <= born + 60 * 10**9:
        return [f"gap from {gaps[0][4]} to {gaps[0][5]}, born {born}"]
    return []


def no_counters():
    """B is seen in its settings; C, made after privileges are gone, in its flows."""
    yield f"nf_conntrack_acct is 0: flows have no packet and byte counters; to change it: " \
        f"nsenter --net=/run/netns/{B} sysctl -w net.netfilter.nf_conntrack_acct=1"
    yield f"flows without packet and byte counters from the network namespace {C} (id 9)"


def check_log(daemon):
    log = daemon.log()
    for words in (*no_counters(),
                  f"network namespace {A} (id 7)",
                  f"not heard, since they have no id here: network namespaces {DEAF}",
                  f"network namespace {C} (id 9) is gone"):
        if words not in log:
            yield f"the log does not say '{words}': {log}"
    if "begun before" in log:
        yield f"it says of others what holds for the own namespace: {log}"


def one(lab, tmp, used, *args):
    """A daemon hears them all; C comes and goes while it does."""
    lab.sysctl(B, acct=0)
    daemon = start(lab, tmp, *args)
    begin = time.time_ns()
    problems = []
    if not int(daemon.status("CapEff"), 16) & NET_BROADCAST:
        problems.append(f"CapEff is {daemon.status('CapEff')}")
    used.made = {A: (7, 0, 0), B: (3, 0, 0)}
    used.name(C, 9, acct=0)
    for name, count in ((A, 300), (HOME, 50), (B, 200), (C, 100), (A, 20), (DEAF, 10)):
        used.flows(name, count)
    del used.made[DEAF]
    used.live(C, 30)
    lab.delete_named(C)
    problems += check_gap(tmp, 9, begin)
    used.flows(B, 40)
    until(f"{used.made}, not {by_namespace(f'{tmp}/old.db')}",
          lambda: by_namespace(f"{tmp}/old.db") == used.made)
    problems += check_log(daemon)
    daemon.stop()
    native = dict(query(f"{tmp}/flows.db", "SELECT nsid, count(*) FROM flows GROUP BY 1"))
    if native != {nsid: n for nsid, n, _ in used.made.values()}:
        problems.append(f"native tables: {native}, made {used.made}")
    return problems


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, HOME)
    used = Used(lab, labs.helper("flood", tmp))
    for name, nsid in ((A, 7), (B, 3), (DEAF, None)):
        used.name(name, nsid)
    return one(lab, f"{tmp}/root", used) + one(lab, f"{tmp}/nobody", used, "-u", "nobody")


scene.main(test)
