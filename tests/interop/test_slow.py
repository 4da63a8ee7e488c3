#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that are bad readers, at once, under load: nobody waits for them.

One reads a byte a second, one never reads, one resets its connections in the
middle of messages.  The output beside them gets every flow, memory stays
within the queues, what is dropped is counted, and when in the end each is
replaced by one that reads, it has all that was not.
"""
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import formats  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import prometheus  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, lines, text, until  # noqa: E402
from dying import Collectors, checked, identity, whole  # noqa: E402

NS = "slow"
MANY = 60000  # 77 MB of events: much more than the receive buffer holds
HALF = 8000  # events: a little more than half of it, while which the input may wait
QUEUE = 1 << 20
MEMORY = 48 << 10  # KiB the daemon may grow by, sanitizer included
BAD = {"drip": (1, 1), "deaf": (0, 1), "rude": (700, 0.002)}  # chunk, pause


def resident(daemon):
    return int(daemon.status("VmRSS").split()[0])


def start(lab, tmp, bad):
    """The daemon with the bad collectors and LOGEMU beside them."""
    stacks, sections = ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"], {
        "emu1": f'file="{tmp}/emu"\n'}
    for i, name in enumerate(BAD):
        bad[name] = Collectors(lab, NS, 4741 + i, f"{tmp}/{name}")
        stacks.append(f"ct1:NFCT,{name}:IPFIX")
        sections[name] = (f"oid=7\nhost=127.0.0.1\nport={4741 + i}\nmtu=1400\nqueue={QUEUE}\n"
                          "reconnect=20ms\nresend=256K\n")
    conf = configuration(tmp, stacks, sections).replace(
        "[global]\n", f'[global]\nmetrics_file="{tmp}/x.prom"\nmetrics_interval=200ms\n')
    daemon = Daemon(lab, NS, tmp, conf)
    daemon.start()
    for name, (chunk, pause) in BAD.items():
        bad[name].start(chunk, pause)
    return daemon


def burst(lab, tmp, rude):
    """All flows, meanwhile resets."""
    flood = labs.helper("flood", tmp)
    for first in range(0, MANY, MANY // 6):
        lab.run(NS, flood, str(MANY // 6), "0", str(first), timeout=300)
        lab.run(NS, "conntrack", "-F", timeout=300)
        before = len(rude.sessions())
        rude.child.send_signal(signal.SIGUSR1)
        until("the next session", lambda n=before: len(rude.sessions()) > n)


def replaced(bad):
    """What each of them, and who came after it, has got: flows."""
    for c in bad.values():
        c.end(signal.SIGKILL)
        c.start(1 << 20, 0)


def delivered(tmp, name):
    return set(f for p in paths(tmp, name) for f in identity(formats.ipfix(whole(p))))


def paths(tmp, name):
    return [os.path.join(at, f) for at, _, files in sorted(os.walk(f"{tmp}/{name}"))
            for f in sorted(files)]


def told_lost(sessions):
    """notSentFlowTotalCount (166), as it was told last."""
    total = 0
    for path in sessions:
        reader = ipfix_wire.Reader()
        for message in ipfix_wire.messages(whole(path)):
            for _, v in reader.records(message, options=True):
                total = max(total, int.from_bytes(v.get((0, 166), b""), "big"))
    return total


def counted(tmp, name):
    """delivered and dropped, as metrics_file has it."""
    if not lines(f"{tmp}/x.prom"):
        return 0, 0
    samples = prometheus.parse(text(f"{tmp}/x.prom"))
    return [int(prometheus.value(samples, f"ctflowd_output_{n}_total", output=name,
                                 plugin="IPFIX")) for n in ("delivered", "dropped")]


def verdict(tmp, name):
    flows, sessions = len(delivered(tmp, name)), paths(tmp, name)
    lost, (sent, dropped) = told_lost(sessions), counted(tmp, name)
    print(f"{name}: {len(sessions)} sessions, {flows} flows, up to {lost} told as lost; "
          f"{sent} delivered and {dropped} dropped of {MANY}")
    for path in sessions:
        yield from checked(path)
    if sent + dropped != MANY:
        yield f"{name}: {sent} delivered and {dropped} dropped of {MANY}"
    if not MANY - lost <= flows <= MANY or lost < dropped:
        yield f"{name}: {flows} flows there and {lost} told as lost of {MANY}"
    if name != "rude" and not dropped:
        yield f"{name}: nothing was dropped, the test shows nothing"
    if name == "rude" and len(sessions) < 5:
        yield f"{name}: {len(sessions)} sessions, the test shows nothing"


def test(lab, tmp):
    bad, problems = {}, []
    labs.flood_ns(lab, NS)
    daemon = start(lab, tmp, bad)
    before = resident(daemon)
    burst(lab, tmp, bad["rude"])
    until("the output beside them", lambda: lines(f"{tmp}/emu") >= MANY - HALF)
    grown = resident(daemon) - before
    replaced(bad)
    until("the rest of it", lambda: lines(f"{tmp}/emu") >= MANY)
    until("all to be accounted for", lambda: all(sum(counted(tmp, n)) == MANY for n in BAD))
    daemon.stop()
    for c in bad.values():
        c.end(signal.SIGTERM)
    print(f"{grown} KiB more memory")
    if grown > MEMORY:
        problems.append(f"{grown} KiB more memory")
    if lines(f"{tmp}/emu") != MANY or "[GAP]" in text(f"{tmp}/emu"):
        problems.append(f"the output beside them has {lines(f'{tmp}/emu')} lines of {MANY}")
    return problems + [p for name in BAD for p in verdict(tmp, name)]


scene.main(test)
