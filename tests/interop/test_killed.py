#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that read slowly and are killed, under load.

Their kernel has acknowledged much that they have not read.  Every flow is in
the files of the collectors taken together; after a kill flows come twice only
from within `resend`, after an orderly end none does.  Each session begins with
templates and sequence number 0, and keeps the rules of IPFIX (ipfix_check.py).

CTF_KILLS: how often, 5 by default.  CTF_SEED repeats a run.
"""
import os
import random
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import formats  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration  # noqa: E402
from dying import RCVBUF, Collectors, Load, checked, identity, whole  # noqa: E402

NS, PORT = "killed", 4739
KILLS = int(os.environ.get("CTF_KILLS", "5"))
SEED = int(os.environ.get("CTF_SEED") or time.time_ns() % 10**9)
RESEND = 300 << 10  # more than two of the collectors' windows
MESSAGE = 1400  # bytes, `mtu`
MORE = 64 << 10  # bytes repeated besides: a message begun, a segment whose ACK never came


class Tcp:
    """A transport: what the daemon is told, and how a collector is started."""
    name = "tcp"
    options = f"proto=tcp\nport={PORT}\n"
    collector = f"{HERE}/slow_collector.py"


def look_at(paths, ends, made):
    """Problems; ends: how each session came to its end."""
    problems, seen, repeats = [], set(), []
    for i, path in enumerate(paths):
        problems += checked(path)
        data = whole(path)
        flows = identity(formats.ipfix(data))
        twice = [f for f in flows if f in seen]
        size = len(data) / max(len(flows), 1)
        most = RESEND + MORE if i and ends[i - 1] == "killed" else 0
        repeats.append(int(len(twice) * size))
        if repeats[-1] > most:
            problems.append(f"session {i}: {len(twice)} flows twice, {repeats[-1]} bytes, after "
                            f"a collector that was {ends[i - 1]}")
        if len(set(flows)) != len(flows):
            problems.append(f"session {i}: flows twice in it")
        seen.update(flows)
    print(f"{len(paths)} sessions, {len(seen)} of {made} flows, repeated bytes: {repeats}")
    if len(seen) != made:
        problems.append(f"{len(seen)} distinct flows of {made}")
    return problems


def killed(lab, tmp, way):
    """Killed and ended in turn, at random moments; the last one reads all."""
    dice = random.Random(SEED)
    collectors = Collectors(lab, NS, PORT, f"{tmp}/{way.name}", way.collector)
    load = Load(lab, NS, tmp)
    daemon = Daemon(lab, NS, tmp, configuration(tmp, ["ct1:NFCT,out1:IPFIX"], {
        "out1": f"oid=7\nhost=127.0.0.1\nmtu={MESSAGE}\nreconnect=50ms\nresend={RESEND}\n"
                + way.options}), name=f"conf-{way.name}")
    daemon.start()
    load.start()
    unread, ends = [], ["killed"] * KILLS
    for i in range(max(1, KILLS // 5)):
        ends.insert(dice.randrange(len(ends) + 1), "ended")
    for end in ends:
        collectors.start(dice.choice((1024, 4096, 16384)), 0.01)
        time.sleep(dice.uniform(0.1, 0.8))
        if end == "killed":
            unread.append(collectors.unread())
        collectors.end(signal.SIGKILL if end == "killed" else signal.SIGTERM)
    collectors.start(1 << 20, 0)
    load.stop()
    daemon.stop()  # delivers the rest, and ends the session
    collectors.end(signal.SIGTERM)
    print(f"{way.name}: unread at the kills: {unread}")
    problems = look_at(collectors.sessions(), ends, load.made)
    if sum(unread) < RCVBUF // 2:
        problems.append("nothing was unread at the kills: the test shows nothing")
    shutil.rmtree(f"{tmp}/{way.name}")
    return problems


def test(lab, tmp):
    print(f"CTF_SEED={SEED}", flush=True)
    labs.flood_ns(lab, NS)
    return [p for way in (Tcp,) for p in killed(lab, tmp, way)]


if __name__ == "__main__":
    scene.main(test)
