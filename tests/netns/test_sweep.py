#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at the table: SIGUSR2, what lives at the start, and deltas.

What a sweep gives is tested flow by flow with the input alone
(test_nfct_live); here is what the daemon makes of it.
"""
import collections
import json
import os
import re
import signal
import socket
import sqlite3
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import calls  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, lines, text, until  # noqa: E402

NS, FLOWS = "swept", 5000
LINE = re.compile(r"\[(UPDATE|DESTROY)\] ORIG: SRC=\S+ DST=(\S+) PROTO=UDP SPT=9000 DPT=(\d+) "
                  r"PKTS=(\d+) BYTES=(\d+) ")
TEXT = "ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"


def shown(path):
    """{event: {(address, port): [(packets, bytes)]}} of LOGEMU's lines."""
    out = {"UPDATE": collections.defaultdict(list), "DESTROY": collections.defaultdict(list)}
    for event, address, port, packets, octets in LINE.findall(text(path)):
        out[event][address, port].append((int(packets), int(octets)))
    return out


def flows_in(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as db:
        return db.execute("SELECT count(*) FROM flows").fetchone()[0]


def on_demand(lab, tmp):
    """Every flow once per SIGUSR2 and as it is; a native database takes none of it."""
    flood = labs.helper("flood", tmp)
    lab.run(NS, flood, "300")
    daemon = Daemon(lab, NS, tmp, configuration(tmp, [TEXT, "ct1:NFCT,db1:SQLITE3"], {
        "emu1": f'file="{tmp}/emu"\n', "db1": f'db="{tmp}/f.db"\ntable="flows"\n'}))
    daemon.start()
    daemon.wait_log("300 flows live at the start")
    lab.run(NS, flood, str(FLOWS))
    daemon.send(signal.SIGUSR2)
    daemon.wait_log(f"{FLOWS} flows of the table shown")
    daemon.send(signal.SIGUSR1)
    daemon.wait_log("live_at_start=300")
    until("the lines", lambda: lines(f"{tmp}/emu") == FLOWS, step=0.1)
    lab.run(NS, "conntrack", "-F")
    until("the ends", lambda: lines(f"{tmp}/emu") == 2 * FLOWS, step=0.1)
    until("the rows", lambda: flows_in(f"{tmp}/f.db") == FLOWS, step=0.1)
    daemon.stop()
    seen = shown(f"{tmp}/emu")
    if (len(seen["UPDATE"]), len(seen["DESTROY"])) != (FLOWS, FLOWS):
        yield f"{len(seen['UPDATE'])} flows shown, {len(seen['DESTROY'])} ended"
    if seen["UPDATE"] != seen["DESTROY"]:
        yield "a flow was shown with other counters than it ended with, or twice"
    if flows_in(f"{tmp}/f.db") != FLOWS:
        yield f"{flows_in(f'{tmp}/f.db')} rows"


def sums(path):
    """Packets and bytes by port; and how many records there are of each event."""
    total, events = collections.defaultdict(lambda: [0, 0]), collections.Counter()
    for line in text(path).splitlines():
        k = json.loads(line)
        total[k["orig.l4.dport"]][0] += k["orig.raw.pktcount"]
        total[k["orig.l4.dport"]][1] += k["orig.raw.pktlen"]
        events[k["ct.event"]] += 1
    return total, events


def ended_sweeps(daemon, before=0):
    """So many looks of this run have given what they had; before: how long the log was."""
    daemon.send(signal.SIGUSR1)
    return sum(int(n) for n in re.findall(r" sweeps=(\d+)", daemon.log()[before:])[-1:])


def deltas(lab, tmp):
    """Counted once each, also across a restart."""
    ports = range(2000, 2200)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, ["ct1:NFCT,ip1:IP2STR,json1:JSON"], {
        "ct1": "active_timeout=500ms\nactive_counters=delta\n",
        "json1": f'file="{tmp}/json"\ninterim=counters\n'}))
    s = lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.66.0.1", 9001))

    def send(n):
        for _ in range(n):
            for port in ports:
                s.sendto(b"12345", ("10.66.9.9", port))
    daemon.start()
    send(3)
    until("sweeps", lambda: ended_sweeps(daemon) >= 4, step=0.2)
    send(4)
    daemon.stop()
    send(1)
    before = len(daemon.log())
    daemon.start()
    send(2)
    until("sweeps", lambda: ended_sweeps(daemon, before) >= 3, step=0.2)
    send(5)
    until("records of what lives", lambda: sums(f"{tmp}/json")[1][2] >= 3 * len(ports), step=0.2)
    lab.run(NS, "conntrack", "-F")
    until("the ends", lambda: sums(f"{tmp}/json")[1][4] == len(ports), step=0.2)
    daemon.stop()
    s.close()
    total, events = sums(f"{tmp}/json")
    if any(total[port] != [15, 15 * 33] for port in ports):
        yield f"packets and bytes of port 2000 add up to {total[2000]}"
    if "will see" not in daemon.log() and "sees remainders" not in daemon.log():
        yield "nothing is said about other listeners"


def refused(_lab, tmp):
    """Who would add remainders up as if they were all: the line is named."""
    wrong = configuration(tmp, [TEXT], {"ct1": "active_timeout=5\nactive_counters=delta\n"})
    with open(f"{tmp}/wrong", "w", encoding="ascii") as f:
        f.write(wrong)
    line = 1 + wrong.splitlines().index("active_counters=delta")
    done = calls.call("-n", "-c", f"{tmp}/wrong")
    if done.code == 0 or f"{tmp}/wrong:{line}: " not in done.words:
        yield f"exit code {done.code}, no word of line {line}: {done.words}"


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, NS)
    lab.sysctl(NS, events=1)
    problems = []
    for part in (on_demand, deltas, refused):
        where = f"{tmp}/{part.__name__}"
        os.mkdir(where)
        problems += part(lab, where)
    return problems


scene.main(test)
