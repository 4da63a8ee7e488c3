#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Selection in the kernel: everybody gets exactly what he chose.

First two inputs of one process with different `select`, and a second daemon
with a third beside it, while 12,000 flows end at once: each set is exact.
Then every kind of test on real traffic, with NAT, IPv6, ICMP and marks: an
input that selects hears the very events that FILTER passes, and where it can
be told from what was sent, they are the right ones.
"""
import collections
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, configuration, lines, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402

NS, FLOWS, FIRST = "select", 12000, 1024
# Every third flow gets a mark, from its destination port.
MARKS = """table inet marks { chain out { type filter hook output priority -10;
    udp dport & 3 == 1 ct mark set 0x15; }; }"""

CHOICES = {  # expression: whether the flow to this port is chosen
    "dst port 1024-4999 and not mark 0x10/0xf0": lambda p: p < 5000 and p & 3 != 1,
    "mark 0x15 or dst port in {7000, 9000-9999}":
        lambda p: p & 3 == 1 or p == 7000 or 9000 <= p < 10000,
    "src net 10.66.0.0/24 and dst port > 13000": lambda p: p > 13000,
}


def ports(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line)["orig.l4.dport"] for line in f]


def wait_for(daemon, inputs):
    """Until so many sockets of the namespace hear the ends of flows."""
    until(f"{inputs} sockets", lambda: sum(
        int(r[3], 16) & 4 != 0 for r in daemon.netlink()) >= inputs)


def side_by_side(lab, tmp):
    """Two inputs and another daemon, one burst."""
    labs.flood_ns(lab, NS)
    lab.nft(NS, MARKS)
    wanted = [[p for p in range(FIRST, FIRST + FLOWS) if f(p)] for f in CHOICES.values()]
    daemons = []
    for which in ((0, 1), (2,)):
        where = f"{tmp}/{which[0]}"
        os.mkdir(where)
        conf = configuration(where, [f"ct{i}:NFCT,j{i}:JSON" for i in which], dict(
            [(f"ct{i}", f'select="{list(CHOICES)[i]}"\n') for i in which] +
            [(f"j{i}", f'file="{tmp}/side{i}"\n') for i in which]))
        daemons.append(Daemon(lab, NS, where, conf).start())
    wait_for(daemons[0], 3)
    lab.run(NS, labs.helper("flood", tmp), str(FLOWS))
    lab.run(NS, "conntrack", "-F")
    until("nothing to be kept", lambda: lab.count(NS) == 0)
    for i, want in enumerate(wanted):
        until(f"side{i}", lambda i=i, n=len(want): lines(f"{tmp}/side{i}") >= n)
    for d in daemons:
        d.stop()
    for i, want in enumerate(wanted):
        got = ports(f"{tmp}/side{i}")
        print(f"{list(CHOICES)[i]}: {len(got)} of {FLOWS}")
        if sorted(got) != want:
            yield f"{list(CHOICES)[i]}: {len(got)} records of {len(set(got))} flows, " \
                f"not {len(want)}"


EXPRESSIONS = [
    "nat", "not nat", "nat src net 10.77.2.0/24 or nat src fd77:2::/64", "any host 10.77.2.9",
    "host 10.77.1.2,fd77:1::2", "dst net 10.77.2.0/25", "nat dst port 80 and not dst port 80",
    "nat src port 40000-40999", "port > 5000", "icmp type 8 or icmp6 type 128", "icmp6 code 0",
    "ip6 tcp", "status seen-reply", "not status assured and udp", "mark 0x80000042",
    "mark 0/0x80000000 and (tcp or icmp)", "zone 0 and family ipv4", "proto 1-6,58",
]
# Those that can be told from what the client did.
TRUTH = {
    "host 10.77.1.2,fd77:1::2": lambda f: f.src in ("10.77.1.2", "fd77:1::2"),
    "ip6 tcp": lambda f: ":" in f.src and f.proto == 6,
    "mark 0x80000042": lambda f: f.mark == 0x80000042,
    "icmp type 8 or icmp6 type 128": lambda f: f.proto in (1, 58),
    "nat": lambda f: (f.src, f.sport) != (f.reply_dst, f.reply_dport) or
    (f.dst, f.dport) != (f.reply_src, f.reply_sport),
    "nat dst port 80 and not dst port 80": lambda f: f.reply_sport == 80 and f.dport != 80,
}


def events(path):
    """How often each event of each flow is there."""
    keys = ("ct.id", "ct.event", "src_ip", "dest_ip", "orig.ip.protocol", "orig.l4.sport",
            "orig.l4.dport", "reply.l4.sport", "reply.l4.dport")
    with open(path, encoding="utf-8") as f:
        return collections.Counter(tuple(json.loads(x).get(k) for k in keys) for x in f)


def ended(path):
    """Originators and destinations of the flows that ended."""
    return collections.Counter(k[2:7] for k in events(path).elements() if k[1] == 4)


def agreement(lab, tmp):
    """Each expression as `select` of an input and in a FILTER."""
    natlab.build(lab)
    hear = "hash_enable=0\nevent_mask=7\n"
    stacks, sections = [], {"all": hear}
    for i, expression in enumerate(EXPRESSIONS):
        stacks += [f"ct{i}:NFCT,ip1:IP2STR,sel{i}:JSON",
                   f"all:NFCT,f{i}:FILTER,ip2:IP2STR,fil{i}:JSON"]
        sections[f"ct{i}"] = f'{hear}select="{expression}"\n'
        sections[f"f{i}"] = f'expr="{expression}"\n'
        for kind in ("sel", "fil"):
            sections[f"{kind}{i}"] = f'file="{tmp}/{kind}{i}"\n'
    daemon = Daemon(lab, GATEWAY, tmp, configuration(tmp, stacks, sections)).start()
    wait_for(daemon, len(EXPRESSIONS) + 1)
    made = traffic.Traffic(lab)
    traffic.standard(made)
    flows = made.manifest()
    until("all flows to end", lambda: scene.all_gone(lab, GATEWAY), step=0.3)
    daemon.stop()
    for i, expression in enumerate(EXPRESSIONS):
        selected, filtered = events(f"{tmp}/sel{i}"), events(f"{tmp}/fil{i}")
        print(f"{expression}: {selected.total()} events")
        if selected != filtered:
            yield f"{expression}: {(selected - filtered).total()} events selected but not " \
                f"filtered, {(filtered - selected).total()} filtered but not selected, as " \
                f"{[*(selected - filtered), *(filtered - selected)][:2]}"
        if not selected:
            yield f"{expression}: nothing, which proves nothing"
        if expression in TRUTH:
            want = collections.Counter(key(f) for f in flows if TRUTH[expression](f))
            got = ended(f"{tmp}/sel{i}")
            if got != want:
                yield f"{expression}: {got - want} too many, {want - got} missing"


def key(flow):
    ported = flow.proto in (6, 17, 33, 132, 136)
    return (flow.src, flow.dst, flow.proto, flow.sport if ported else None,
            flow.dport if ported else None)


def test(lab, tmp):
    return [*side_by_side(lab, tmp), *agreement(lab, tmp)]


scene.main(test)
