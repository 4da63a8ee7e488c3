#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Long flows, reported as they live: what consumers add up is what was sent.

200 flows of 1 to 60 seconds, half of them answered, swept every 2 seconds, in
three namespaces at once: nothing said of flows that live, their presence, and
their counters as deltas.  Bytes, packets and flows of each source and
direction, summed over all records, are those sent: as text, JSON, rows of
SQLite, and as nfdump's own queries print them.
"""
import collections
import json
import os
import random
import re
import resource
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
PORT, SERVER = 9995, 2000
COUNTERS = ("packets", "bytes", "reply packets", "reply bytes")
STACKS = ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU", "ct1:NFCT,ip1:IP2STR,json1:JSON",
          "ct1:NFCT,db1:SQLITE3", "ct1:NFCT,ipfix1:IPFIX"]
MODES = {"none": ("", "interim=none\n"), "presence": ("", ""),
         "delta": ("active_counters=delta\n", "interim=counters\n")}


class Sender:
    """UDP flows of one namespace: when each sends how much, and is answered."""

    def __init__(self, lab, ns, rng):
        self.sent = collections.Counter()
        self.plan = []  # (when, socket, source, octets)
        self.rng = rng
        self.server = lab.socket(f"{ns}-far", socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("10.66.1.1", SERVER))
        self.server.settimeout(100)
        for i in range(FLOWS):
            source = SOURCES[i % len(SOURCES)]
            s = lab.socket(ns, socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            s.connect(("10.66.1.1", SERVER))
            self.sent[source, "flows"] += 1
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
            self.add(source, "", octets)
            self.answer(source)

    def answer(self, source):
        """The one that just came, if its flow is of the half that is."""
        data, peer = self.server.recvfrom(2048)
        for _ in range(self.rng.randint(1, 2) if peer[1] % 2 else 0):
            octets = self.rng.randint(len(data), 1200)
            self.server.sendto(bytes(octets), peer)
            self.add(source, "reply ", octets)

    def add(self, source, direction, octets):
        self.sent[source, direction + "packets"] += 1
        self.sent[source, direction + "bytes"] += octets + OVER


class Mode:
    """A namespace, its daemon and collector, its traffic."""

    def __init__(self, lab, tmp, name):
        self.lab, self.name, self.dir = lab, name, f"{tmp}/{name}"
        os.makedirs(f"{self.dir}/nf")
        self.build(lab, name)
        lab.sysctl(name, udp_timeout=5, udp_timeout_stream=5)
        self.nfcapd = collectors.Nfcapd(lab, name, PORT, f"{self.dir}/nf")
        nfct, output = MODES[name]
        self.daemon = Daemon(lab, name, self.dir, configuration(self.dir, STACKS, {
            "ct1": f"active_timeout=2\nreap_interval=1\n{nfct}",
            "emu1": f'file="{self.dir}/emu"\n{output}', "json1": f'file="{self.dir}/json"\n{output}',
            "db1": f'db="{self.dir}/db"\ntable="flows"\n',
            "ipfix1": f'oid=1\nhost="127.0.0.1"\nport={PORT}\nproto=udp\n{output}'})).start()
        self.daemon.wait_log("entering main loop")
        self.sender = Sender(lab, name, random.Random(name))

    @staticmethod
    def build(lab, name):
        """Sources here, who answers them in a namespace of its own."""
        labs.flood_ns(lab, name)
        lab.add(f"{name}-far")
        lab.run(name, "ip", "link", "set", "ctl-sink", "netns", lab.path(f"{name}-far"))
        lab.run(f"{name}-far", "ip", "link", "set", "ctl-sink", "arp", "on", "up")
        lab.run(name, "ip", "link", "set", "ctl-out", "arp", "on")
        lab.run(f"{name}-far", "ip", "addr", "add", "10.66.1.1/16", "dev", "ctl-sink")
        for source in SOURCES[1:]:
            lab.run(name, "ip", "addr", "add", f"{source}/16", "dev", "ctl-out")

    def end(self):
        until("all flows to end", lambda: self.lab.count(self.name) == 0)
        self.daemon.stop()
        self.nfcapd.finish()

    # -- what was said: (updates, {(source, "packets"): n, (source, "bytes"): n})

    def logemu(self):
        said, updates = collections.Counter(), 0
        line = re.compile(r"\[(\w+)\] ORIG: SRC=(\S+) .*? SPT=(\d+) .*?PKTS=(\d+) BYTES=(\d+) "
                          r", REPLY: .*? PKTS=(\d+) BYTES=(\d+)")
        for m in line.finditer(text(f"{self.dir}/emu")):
            updates += m[1] == "UPDATE"
            for what, n in zip(COUNTERS, m.groups()[3:]):
                said[m[2], what] += int(n)
            said[m[2], "flows"] += m[1] == "DESTROY"
        return updates, +said

    def json(self):
        said, updates = collections.Counter(), 0
        for line in text(f"{self.dir}/json").splitlines():
            r = json.loads(line)
            updates += r["ct.event"] == 2
            for what, key in zip(COUNTERS, ("orig.raw.pktcount", "orig.raw.pktlen",
                                            "reply.raw.pktcount", "reply.raw.pktlen")):
                said[r["src_ip"], what] += r[key]
            said[r["src_ip"], "flows"] += r["ct.event"] == 4
        return updates, +said

    def database(self):
        with sqlite3.connect(f"{self.dir}/db") as db:
            rows = db.execute("SELECT src, sum(orig_packets), sum(orig_bytes), "
                              "sum(reply_packets), sum(reply_bytes), count(*) "
                              "FROM flows GROUP BY src").fetchall()
            gaps, = db.execute("SELECT count(*) FROM gaps").fetchone()
        if gaps:
            raise AssertionError(f"{self.name}: {gaps} gaps")
        said = collections.Counter({(r[0], what): n for r in rows
                                    for what, n in zip((*COUNTERS, "flows"), r[1:])})
        return 0, +said

    def nfdump(self):
        """As a user would ask: per source, and how many connections it had."""
        records, said = 0, collections.Counter()
        for source, *counters, n in self.query("srcip", "%sa|%pkt|%byt|%opkt|%obyt|%fl"):
            said |= {(source, what): int(v) for what, v in zip(COUNTERS, counters)}
            records += int(n)
            if self.name == "none":  # then each record is a flow
                said[source, "flows"] = int(n)
        if self.name != "none":
            said |= collections.Counter((row[0], "flows") for row in self.query(
                "proto,srcip,srcport,dstip,dstport", "%sa|%sp"))
        return records - FLOWS, +said

    def query(self, group, columns):
        done = subprocess.run(["nfdump", "-q", "-R", f"{self.dir}/nf", "-A", group, "-N", "-o",
                               f"fmt:{columns}"], capture_output=True, text=True, timeout=300,
                              check=True)
        rows = ([w.strip() for w in line.split("|")] for line in done.stdout.splitlines())
        return [r for r in rows if r[0] in SOURCES]


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
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
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
