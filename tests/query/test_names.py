#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow shows the name an address had at a flow's last packet, by what was told."""
import bisect
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, T0, History, ctflow  # noqa: E402

SPAN = 30 * 86400
HOSTS = ["10.0.0.1", "10.0.0.2", "192.168.200.3", "2001:db8::4"]
NAMES = ["phone", "tv", "m\u00fcller-pc", None, "guest-17", "nas.lan"]


class World:
    """Who really had which address, and flows at random times, told in any order."""

    def __init__(self, seed):
        self.rng, self.turns = random.Random(seed), {}
        for host in HOSTS:
            turns = sorted({0} | {self.rng.randrange(SPAN) for _ in range(20)})
            self.turns[host] = (turns, [self.rng.choice(NAMES) for _ in turns])

    def at(self, host, second):
        since, names = self.turns[host]
        i = bisect.bisect_right(since, second) - 1
        return names[i], since[i]

    def name(self, host, second):
        return self.at(host, second)[0]

    def flow(self, made, number):
        src = self.rng.choice(HOSTS)
        dst = self.rng.choice([h for h in HOSTS if (":" in h) == (":" in src)])
        second = self.rng.randrange(SPAN)
        end = T0 + second * SEC
        told = {}
        for side, host in (("src", src), ("dst", dst)):
            name, since = self.at(host, second)
            told |= {f"{side}_name": name, f"{side}_name_ns": T0 + since * SEC}
        made.flow(src=src, dst=dst, proto=17, sport=1000, dport=2000, id=number + 1,
                  start=end - SEC, end=end,
                  destroy=end + self.rng.choice((30, 3600, 5 * 86400)) * SEC, **told)
        return number + 1, (self.name(src, second), self.name(dst, second))


def check(seed, tmp):
    world, made, path = World(seed), History(), f"{tmp}/{seed}.db"
    want = {}
    for number in range(400):
        key, names = world.flow(made, number)
        want[key] = names
        if world.rng.randrange(60) == 0:
            made.commit()
    made.write(path)
    got = {r["id"]: (r["src_name"], r["dst_name"]) for r in ctflow(path, "show")}
    wrong = {k: (got.get(k), want[k]) for k in want if got.get(k) != want[k]}
    assert not wrong and len(got) == len(want), list(wrong.items())[:5]


def formats(tmp):
    made, path = History(), f"{tmp}/formats.db"
    made.flow(src="10.0.0.1", dst="192.0.2.1", proto=6, sport=1, dport=443, start=T0,
              end=T0 + SEC, destroy=T0 + 2 * SEC, src_name="phone", src_name_ns=T0 - SEC)
    made.write(path)
    head, row = (line.split(",") for line in ctflow(path, "show", fmt="csv").splitlines())
    assert dict(zip(head, row))["src_name"] == "phone", row
    assert dict(zip(head, row))["dst_name"] == "", row
    table = ctflow(path, "show", fmt="table")
    assert " phone " in table and table.count("NAME") == 1, table
    made.flow(src="10.0.0.2", dst="192.0.2.1", proto=6, sport=2, dport=443, start=T0,
              end=T0 + SEC, destroy=T0 + 2 * SEC)
    made.write(f"{tmp}/none.db")
    assert "NAME" not in ctflow(f"{tmp}/none.db", "show", fmt="table")


def main():
    with tempfile.TemporaryDirectory() as tmp:
        for seed in (1, 2, 3):
            check(seed, tmp)
        formats(tmp)
    print("each flow with the names of its time")


if __name__ == "__main__":
    main()
