#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Long flows, reported as they live: what consumers add up is what was sent.

200 flows of 1 to 60 seconds, swept every 2 seconds, in three namespaces at
once: nothing said of flows that live, their presence, and their counters as
deltas.  Bytes and packets of each source, summed over all records, are those
sent: as text, JSON, rows of SQLite, and as nfdump's own query prints them.
"""
import collections
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, text, until  # noqa: E402

FLOWS = int(os.environ.get("CTF_FLOWS", "200"))
LONGEST = float(os.environ.get("CTF_SECONDS", "60"))
SOURCES = [f"10.66.0.{i}" for i in range(1, 11)]
OVER = 28  # octets of IPv4 and UDP header
PORT = 9995
STACKS = ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU", "ct1:NFCT,ip1:IP2STR,json1:JSON",
          "ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ipfix1:IPFIX"]
MODES = {"none": ("", "interim=none\n"), "presence": ("", ""),
         "delta": ("active_counters=delta\n", "interim=counters\n")}


class Sender:
    """UDP flows of one namespace: when each sends how much."""

    def __init__(self, lab, ns, rng):
        self.sent = collections.Counter()
        self.plan = []  # (when, socket, source, octets)
        for i in range(FLOWS):
            source = SOURCES[i % len(SOURCES)]
            s = lab.socket(ns, socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.connect(("10.66.1.1", 2000 + i))
            length = rng.uniform(1, LONGEST)
            begin = rng.uniform(0, LONGEST - length)
            at = begin
            while at <= begin + length:
                self.plan.append((at, s, source, rng.randint(1, 1000)))
                at += rng.uniform(0.05, 0.9)  # sooner than the timeout
        self.plan.sort(key=lambda p: p[0])

    def send(self, upto):
        while self.plan and self.plan[0][0] <= upto:
            _, s, source, octets = self.plan.pop(0)
            s.send(bytes(octets))
            self.sent[source, "packets"] += 1
            self.sent[source, "bytes"] += octets + OVER


class Mode:
    """A namespace, its daemon and collector, its traffic."""

    def __init__(self, lab, tmp, name):
        self.lab, self.name, self.dir = lab, name, f"{tmp}/{name}"
        os.makedirs(f"{self.dir}/nf")
        labs.flood_ns(lab, name)
        for source in SOURCES[1:]:
            lab.run(name, "ip", "addr", "add", f"{source}/16", "dev", "ctl-out")
        lab.sysctl(name, udp_timeout=2, udp_timeout_stream=2)
        self.nfcapd = collectors.Nfcapd(lab, name, PORT, f"{self.dir}/nf")
        nfct, output = MODES[name]
        self.daemon = Daemon(lab, name, self.dir, configuration(self.dir, STACKS, {
            "ct1": f"active_timeout=2\nreap_interval=1\n{nfct}",
            "emu1": f'file="{self.dir}/emu"\n{output}', "json1": f'file="{self.dir}/json"\n{output}',
            "db1": f'db="{self.dir}/db"\ntable="flows"\n',
            "ipfix1": f'oid=1\nhost="127.0.0.1"\nport={PORT}\nproto=udp\n{output}'})).start()
        self.daemon.wait_log("entering main loop")
        self.sender = Sender(lab, name, random.Random(name))

    def end(self):
        until("all flows to end", lambda: self.lab.count(self.name) == 0)
        self.daemon.stop()
        self.nfcapd.finish()

    # -- what was said: (updates, {(source, "packets"): n, (source, "bytes"): n})

    def logemu(self):
        said, updates = collections.Counter(), 0
        line = re.compile(r"\[(\w+)\] ORIG: SRC=(\S+) .*? PKTS=(\d+) BYTES=(\d+) , REPLY")
        for m in line.finditer(text(f"{self.dir}/emu")):
            updates += m[1] == "UPDATE"
            said[m[2], "packets"] += int(m[3])
            said[m[2], "bytes"] += int(m[4])
        return updates, +said

    def json(self):
        said, updates = collections.Counter(), 0
        for line in text(f"{self.dir}/json").splitlines():
            r = json.loads(line)
            updates += r["ct.event"] == 2
            said[r["src_ip"], "packets"] += r["orig.raw.pktcount"]
            said[r["src_ip"], "bytes"] += r["orig.raw.pktlen"]
        return updates, +said

    def database(self):
        with sqlite3.connect(f"{self.dir}/db") as db:
            rows = db.execute("SELECT src, sum(orig_packets), sum(orig_bytes), count(*) "
                              "FROM flows GROUP BY src").fetchall()
            gaps, = db.execute("SELECT count(*) FROM gaps").fetchone()
        if gaps:
            raise AssertionError(f"{self.name}: {gaps} gaps")
        said = collections.Counter()
        for source, packets, octets, _ in rows:
            said[source, "packets"], said[source, "bytes"] = packets, octets
        return sum(r[3] for r in rows) - FLOWS, said

    def nfdump(self):
        """As a user would ask: nfdump -A srcip."""
        done = subprocess.run(["nfdump", "-q", "-R", f"{self.dir}/nf", "-A", "srcip", "-N", "-o",
                               "fmt:%sa|%pkt|%byt|%fl"], capture_output=True, text=True,
                              timeout=60, check=True)
        said, flows = collections.Counter(), 0
        for line in done.stdout.splitlines():
            words = [w.strip() for w in line.split("|")]
            if len(words) == 4 and words[0] in SOURCES:
                said[words[0], "packets"] = int(words[1])
                said[words[0], "bytes"] = int(words[2])
                flows += int(words[3])
        return flows - FLOWS, said


def differences(mode, who, said, sent):
    wrong = [k for k in set(said) | set(sent) if said[k] != sent[k]]
    return [f"{mode}: {who} adds up to {said[k]} {k[1]} from {k[0]}, {sent[k]} were sent"
            for k in sorted(wrong)[:5]]


def judge(mode):
    problems = []
    for who in ("logemu", "json", "database", "nfdump"):
        more, said = getattr(mode, who)()
        problems += differences(mode.name, who, said, mode.sender.sent)
        print(f"{mode.name}: {who}: {more} records of flows that lived")
        if (more > 0) != (mode.name != "none" and who != "database"):
            problems.append(f"{mode.name}: {who} has {more} records besides the ends")
    return problems


def test(lab, tmp):
    modes = [Mode(lab, tmp, name) for name in MODES]
    begin = time.monotonic()
    while any(m.sender.plan for m in modes):
        for m in modes:
            m.sender.send(time.monotonic() - begin)
        time.sleep(0.02)
    for m in modes:
        m.end()
    return [p for m in modes for p in judge(m)]


for tool in ("nfcapd", "nfdump"):
    if not shutil.which(tool):
        labs.skip(f"needs the program {tool}")
scene.main(test)
