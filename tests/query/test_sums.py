#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow top and sum against a count by brute force, from rollups and from flows."""
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from collections import defaultdict
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, T0, History, build, ctflow, random_flow  # noqa: E402

NAMES = {17: "udp", 6: "tcp", 1: "icmp"}
MINUTE, HOUR, DAY = 60 * SEC, 3600 * SEC, 86400 * SEC
DAYS = 4
NUMBERS = ("flows", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes")
KEYS = {
    "src": lambda f: [f["src"]], "dst": lambda f: [f["dst"]],
    "host": lambda f: [f["src"], f["dst"]], "nat_src": lambda f: [f.get("nat_src")],
    "nat_dst": lambda f: [f.get("nat_dst")], "dport": lambda f: [f["dport"]],
    "sport": lambda f: [f["sport"]], "proto": lambda f: [f["proto"]],
    "mark": lambda f: [f.get("mark", 0)], "zone": lambda f: [0],
    "service": lambda f: [service(f)],
    "port": lambda f: [f["dport"] if f["dport"] < 32768 else None], "family": lambda f: [
        6 if ":" in f["src"] else 4]}
ROLLED = ("src", "service", "port", "proto")
VALUE = {"bytes": lambda s: s[2] + s[4], "packets": lambda s: s[1] + s[3],
         "flows": lambda s: s[0], "reply_bytes": lambda s: s[4], "orig_packets": lambda s: s[1]}


def service(f):
    """The protocol, and the port if it is no client's."""
    name = NAMES[f["proto"]]
    return name if name == "icmp" else f"{name}/{f['dport'] if f['dport'] < 32768 else 'other'}"


def told(seed):
    rng, made = random.Random(seed), History()
    flows = []
    for n in range(3000):
        flow = random_flow(rng, T0 - DAYS * DAY + rng.randrange(DAYS * DAY // SEC) * SEC +
                           rng.randrange(SEC))
        if n % 7 == 0:
            flow |= {"src": f"fd00::{n % 5 + 1}", "dst": "2001:db8::7", "nat_src": None,
                     "nat_sport": None, "nat_dst": None, "nat_dport": None}
        if n % 5 == 0:
            flow["dport"] = 32760 + rng.randrange(20)
        flows.append({k: v for k, v in flow.items() if v is not None})
    for flow in sorted(flows, key=lambda f: f["destroy"]):
        made.flow(**flow)
    return made


def count(flows, key, slot=lambda end: 0):
    sums = defaultdict(lambda: [0] * 5)
    for f in flows:
        for k in set(KEYS[key](f)) if key else [None]:
            for i, n in enumerate((1, f["packets"], f["bytes"], f["rpackets"], f["rbytes"])):
                sums[slot(f["end"]), k][i] += n
    return sums


def at(ns):
    return f"@{ns // SEC}.{ns % SEC:09}"


def numbers(row):
    assert row["packets"] == row["orig_packets"] + row["reply_packets"], row
    assert row["bytes"] == row["orig_bytes"] + row["reply_bytes"], row
    return [row[n] for n in NUMBERS]


def tops(path, flows, key, words, by, n):
    rows = ctflow(path, "top", n, key, "by", by, *words)
    want = count(flows, key)
    for r in rows:
        assert numbers(r) == want[0, r[key]], (key, words, r, want[0, r[key]])
    values = sorted((VALUE[by](s) for s in want.values()), reverse=True)
    assert [VALUE[by](numbers(r)) for r in rows] == values[:n], (key, words)
    assert len({r[key] for r in rows}) == len(rows) == min(n, len(want))
    return rows[0]["from"] if rows else None


def random_tops(path, flows):
    rng, seen = random.Random(7), set()
    for i in range(60):
        unit = rng.choice((1, SEC, MINUTE, HOUR, DAY))
        a, b = sorted((T0 - DAYS * DAY + rng.randrange((DAYS + 1) * DAY)) // unit * unit
                      for _ in range(2))
        b += unit * (a == b)
        words, some = ["since", at(a), "until", at(b)], [f for f in flows if a <= f["end"] < b]
        if i % 5 == 0:
            words, some = words[:2], [f for f in flows if f["end"] >= a]
        if i % 4 == 3:
            words += ["where", "tcp and not dst port 443"]
            some = [f for f in some if f["proto"] == 6 and f["dport"] != 443]
        key = rng.choice(list(KEYS)) if i % 3 else rng.choice(ROLLED)
        where = tops(path, some, key, words, rng.choice(list(VALUE)), rng.randrange(1, 40))
        if where and (key not in ROLLED or "where" in words):
            assert where == "flows", (key, words, where)
        seen.add(where)
    return seen


def coarsest(path, flows):
    """Whole days come from days, the edges from what is finer."""
    first = T0 - DAYS * DAY
    day = (first // DAY + 1) * DAY

    def answer(a, b):
        return tops(path, [f for f in flows if a <= f["end"] < b], "src",
                    ("since", at(a), "until", at(b)), "bytes", 10)

    assert answer(day, day + 2 * DAY) == "rollup day"
    assert answer(day + HOUR, day + DAY + HOUR) == "rollup hour"
    assert answer(day - HOUR, day + DAY) == "rollup day + hour"
    assert answer(day + 2 * DAY + MINUTE, day + 2 * DAY + HOUR) == "rollup minute"
    assert answer(day - HOUR - MINUTE - SEC, day + DAY) in (
        "rollup day + hour + minute + flows", "rollup day + hour + flows")
    end = flows[100]["end"]
    assert answer(end, end + 1) == "flows"


def slots(path, flows):
    for unit, size in (("minute", MINUTE), ("hour", HOUR), ("day", DAY)):
        a, b = T0 - 2 * DAY + 17 * SEC, T0 - DAY // 3
        some = [f for f in flows if a <= f["end"] < b]
        for key in (None, "src", "dst"):
            rows = ctflow(path, "-u", "sum", *([key] if key else []), "per", unit, "since", at(a),
                          "until", at(b))
            want = count(some, key, lambda end, size=size: end // size * size)
            got = {}
            for r in rows:
                when = datetime.strptime(r["time"][:19], "%Y-%m-%dT%H:%M:%S")
                got[int(when.replace(tzinfo=timezone.utc).timestamp()) * SEC,
                    r[key] if key else None] = numbers(r)
            assert got == dict(want), (unit, key)
            assert [r["time"] for r in rows] == sorted(r["time"] for r in rows)


def in_all(path, flows):
    row, = ctflow(path, "sum")
    assert numbers(row) == count(flows, None)[0, None] and "rollup" in row["from"], row
    row, = ctflow(path, "sum", "where", "udp")
    udp = [f for f in flows if f["proto"] == 17]
    assert numbers(row) == count(udp, None)[0, None] and row["from"] == "flows", row
    table = ctflow(path, "top", 3, "src", fmt="table").splitlines()
    assert table[0].split()[:4] == ["SOURCE", "FLOWS", "PACKETS", "BYTES"], table
    assert len(table) == 5 and table[-1].startswith("from: rollup day + ")\
        and "flows" not in table[-1], table


def edges(path, flows, gone):
    """What is left over of whole minutes is read from flows: said where those are gone."""
    day = ((T0 - DAYS * DAY) // DAY + 1) * DAY
    within = lambda a, b: [f for f in flows if a <= f["end"] < b]  # noqa: E731
    row, = ctflow(path, "sum", "since", at(day), "until", at(day + DAY))
    assert numbers(row) == count(within(day, day + DAY), None)[0, None]
    assert row["from"] == "rollup day", row
    for words in (("since", at(day + 7 * SEC), "until", at(day + DAY)), ("where", "udp")):
        rows = ctflow(path, "sum", *words)
        assert {r["from"].partition("; ")[2] for r in rows} == {gone} or not rows, (words, rows)
        table = ctflow(path, "sum", *words, fmt="table").splitlines()
        assert gone.partition("2026")[0] in table[-1], table


def gone(tmp):
    """By retention, or they were only added up."""
    made, path = told(5), f"{tmp}/small.db"
    made.write(path, "--max-size", "700K", "--spare")
    with sqlite3.connect(path) as db:
        kept = int(db.execute("SELECT value FROM meta WHERE key = 'kept_from:flows'").fetchone()[0])
        left = db.execute("SELECT count(*) FROM flows").fetchone()[0]
    assert 0 < left < len(made.flows) and kept > T0 - DAYS * DAY, (left, kept)
    iso = datetime.fromtimestamp(kept // SEC, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    edges(path, made.flows, f"flows before {iso}.{kept % SEC:09}Z are deleted")
    newest = [f for f in made.flows if f["end"] >= kept]
    row, = ctflow(path, "sum", "since", at(kept), "where", "udp", "or", "not", "udp")
    assert numbers(row) == count(newest, None)[0, None] and row["from"] == "flows", row
    made, path = told(6), f"{tmp}/rollup.db"
    made.coverage(T0 - DAYS * DAY, T0)
    made.write(path, "--profile", "rollup", "--spare")
    edges(path, made.flows, "flows were not kept (profile=rollup)")


def several(tmp, path, flows):
    other = told(99)
    other.write(f"{tmp}/other.db", "--spare")
    both = flows + other.flows
    for key in ("src", "proto", "dst"):
        rows = ctflow([path, f"{tmp}/other.db"], "top", 1000, key)
        assert {r[key]: numbers(r) for r in rows} == \
            {k: s for (_, k), s in count(both, key).items()}, key


def zones(path, flows):
    """A day is one of the zone that people live in."""
    env = {**os.environ, "TZ": "XYZ-5:30"}
    rows = ctflow(path, "sum", "per", "day", env=env)
    shift = 19800 * SEC
    want = count(flows, None, lambda end: (end + shift) // DAY * DAY - shift)
    assert [numbers(r) for r in rows] == [want[k] for k in sorted(want)]


def wrong(path):
    for says, *words in (('no key "scr"', "top", "scr"), ('behind "by"', "top", "src", "by", "x"),
                         ('behind "per"', "sum", "per", "year"),
                         ('"per" is for ctflow sum', "top", "src", "per", "day")):
        done = subprocess.run([build("ctflow"), "-d", path, *words], text=True, timeout=300,
                              capture_output=True, check=False)
        assert done.returncode == 64 and says in done.stderr and not done.stdout, done


def main():
    made = told(3)
    with tempfile.TemporaryDirectory(prefix="ctflow-sums-") as tmp:
        path = f"{tmp}/flows.db"
        made.write(path, "--spare")
        seen = random_tops(path, made.flows)
        assert any(w and "rollup" in w for w in seen) and "flows" in seen, seen
        coarsest(path, made.flows)
        slots(path, made.flows)
        in_all(path, made.flows)
        several(tmp, path, made.flows)
        zones(path, made.flows)
        gone(tmp)
        wrong(path)
    print("sums and tops agree with a count by brute force")


if __name__ == "__main__":
    main()
