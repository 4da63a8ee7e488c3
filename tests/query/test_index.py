#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions that indexes and the catalog help with, against all rows.

Three days of partitions with and without an index; what is asked for is counted
among all rows, which an export without a question gives.
"""
import ipaddress
import json
import os
import random
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, T0, History, ctflow, random_flow  # noqa: E402
from test_show import ns_of  # noqa: E402

DAY = 86400 * SEC
SIDES = ("src", "dst", "nat_src", "nat_dst")


def database(path, *options, fill=24000):
    made, rng = History(), random.Random(7)
    for day in range(3):
        made.fill(fill, T0 + day * DAY, T0 + (day + 1) * DAY - 1, seed=day + 1, hosts=300,
                  public=3)
        for n in range(150):  # IPv6, and addresses above 128.0.0.0 inside, too
            six = n % 2
            made.flow(proto=17, src=f"2001:db8::{n % 7:x}" if six else f"192.0.2.{n % 9}",
                      dst=f"2001:db8:1:{n % 5}::1" if six else f"10.0.0.{n % 250}", sport=1000 + n,
                      dport=40000 + n % 3, start=T0 + day * DAY + n * SEC,
                      end=T0 + day * DAY + (n + 9) * SEC,
                      destroy=T0 + day * DAY + (n + 9) * SEC + n, id=rng.getrandbits(32), bytes=n)
    made.spare()
    for n in range(500):  # not in any index
        made.flow(**random_flow(rng, T0 + 3 * DAY + n * SEC))
    made.write(path, *options)
    with sqlite3.connect(path) as c:
        states = [s for s, in c.execute("SELECT state FROM partitions ORDER BY from_ns")]
    c.close()
    assert states.count("indexed") >= 2 and states[-1] != "indexed", states


def net_test(sides, nets, port=None):
    nets = [ipaddress.ip_network(n) for n in nets]

    def fits(row):
        for side in sides:
            ip = row[side] or row[side.replace("nat_", "")]
            if any(row["ip"][ip] in n for n in nets if n.version == row["ip"][ip].version):
                return port is None or (
                    row[side.replace("src", "sport").replace("dst", "dport")] or
                    row["sport" if "src" in side else "dport"]) in port
        return False
    return fits


def random_question(rng, rows, tmp):
    """An expression that must go through an index, and what it means."""
    row = rng.choice(rows)
    side = rng.choice(SIDES)
    ip = row[side] or row[side.replace("nat_", "")]
    words = side.replace("_", " ")
    kind = rng.randrange(6)
    if kind == 0:
        return f"{words} {ip}", net_test([side], [ip])
    if kind == 1:
        bits = rng.choice((24, 28, 31)) if "." in ip else rng.choice((48, 64, 126))
        net = ipaddress.ip_network(f"{ip}/{bits}", strict=False)
        return f"{words} net {net}", net_test([side], [net])
    if kind == 2:
        return f"any host {ip}", net_test(SIDES, [ip])
    if kind == 3:
        ips = [rng.choice(rows)[rng.choice(("src", "dst"))] for _ in range(rng.choice((3, 200)))]
        with open(f"{tmp}/list", "w", encoding="ascii") as f:
            f.writelines(i + "\n" for i in ips)
        return f"host in @{tmp}/list", net_test(SIDES[:2], set(ips))
    if kind == 4:
        other = rng.choice(rows)
        both = net_test(["src"], [row["src"]]), net_test(["dst"], [other["dst"]])
        return (f"src {row['src']} or (dst {other['dst']} and not proto 1)",
                lambda r: both[0](r) or both[1](r) and r["proto"] != 1)
    port = row["nat_sport"] or row["sport"] or 0
    ports = range(max(0, port - rng.choice((0, 3000))), port + 1)
    ip = row["nat_src"] or row["src"]
    return (f"nat src {ip} and nat src port {ports[0]}-{ports[-1]}",
            net_test(["nat_src"], [ip], ports))


def ask(path, rows, rng, tmp):
    text, fits = random_question(rng, rows, tmp)
    since, until = sorted(T0 + rng.randrange(-DAY // SEC, 4 * DAY // SEC) * SEC for _ in range(2))
    words = []
    if rng.random() < 0.5:
        words += ["since", f"@{since // SEC}"]
    else:
        since = 0
    if rng.random() < 0.5:
        words += ["until", f"@{until // SEC + 1}"]
        until += SEC
    else:
        until = 1 << 62
    want = [r["key"] for r in rows if since <= r["ns"] < until and fits(r)]
    got = [(r["at"], r["id"]) for r in ctflow(path, "show", text, *words)]
    assert got == want, (text, words, len(got), len(want))
    if want:
        n = rng.randrange(1, len(want) + 1)
        got = [(r["at"], r["id"]) for r in ctflow(path, "show", text, *words, "limit", n)]
        assert got == want[-n:], (text, words, n)
    return len(want)


def pruned(path):
    """A day that was not asked for is not even opened."""
    with sqlite3.connect(path) as c:
        first, to = c.execute("SELECT base, to_ns FROM days ORDER BY from_ns").fetchone()
        for name in ("", "_src", "_dst", "_nat"):
            c.execute(f'DROP TABLE "{first}{name}"')
    c.close()
    rows = ctflow(path, "show", "src net 10.0.0.0/24", "since", f"@{to // SEC + 700000 // 3600}",
                  "limit", 5)
    assert len(rows) == 5
    assert len(ctflow(path, "show", "limit", 700)) == 700  # backwards: it never comes to that
    text = ctflow(path, "show", "dst port 1", want=(4,), fmt="csv")
    assert text.count("\n") <= 1


def all_rows(path):
    rows = [json.loads(line) for line in ctflow(path, "export", fmt="ndjson").splitlines()]
    assert [r["at"] for r in rows] == sorted(r["at"] for r in rows)
    for r in rows:
        r["key"], r["ns"] = (r["at"], r["id"]), ns_of(r["end"])
        r["ip"] = {r[s]: ipaddress.ip_address(r[s]) for s in SIDES if r[s]}
    return rows


def nat_ask(path, rows, rng):
    """About the side that others see, translated or not."""
    row = rng.choice([r for r in rows if bool(r["nat_src"]) == rng.randrange(2)])
    ip, port = (row["nat_src"], row["nat_sport"]) if row["nat_src"] else (row["src"], row["sport"])
    text, fits = rng.choice((
        (f"nat src {ip} and nat src port {port}", net_test(["nat_src"], [ip], [port])),
        (f"nat src {ip} and src {row['src']}",
         lambda r: net_test(["nat_src"], [ip])(r) and r["src"] == row["src"]),
        (f"src {row['src']} or nat src {ip} and nat src port {port}",
         lambda r: r["src"] == row["src"] or net_test(["nat_src"], [ip], [port])(r))))
    want = [r["key"] for r in rows if fits(r)]
    assert [(r["at"], r["id"]) for r in ctflow(path, "show", text)] == want and want, text


def nat(tmp, rng):
    """profile=nat has one index; runs of earlier versions lack what was not translated."""
    path = f"{tmp}/nat.db"
    database(path, "--profile", "nat", fill=3000)
    rows = all_rows(path)
    for _ in range(8):
        nat_ask(path, rows, rng)
    with sqlite3.connect(path) as c:
        bases = [b for b, in c.execute("SELECT base FROM days ORDER BY from_ns")]
        some = c.execute(f"DELETE FROM {bases[0]}_nat WHERE addr = '' OR addr IN"
                         f" (SELECT src FROM {bases[0]} WHERE nat_src IS NULL)").rowcount
    c.close()
    assert some > 100, some
    for _ in range(8):
        nat_ask(path, rows, rng)
    with sqlite3.connect(path) as c:  # it is asked: without its entries nothing is found
        c.execute(f"DELETE FROM {bases[1]}_nat WHERE addr <> ''")
        first, last = c.execute(f"SELECT min(at_ns), max(at_ns) FROM {bases[1]}").fetchone()
    c.close()
    there = [r for r in rows if first <= r["ns"] and ns_of(r["at"]) <= last]
    assert there and not ctflow(path, "show", f"nat src {there[0]['nat_src'] or there[0]['src']}",
                                "since", f"@{first // SEC + 600}", "until", f"@{last // SEC}")


def main():
    with tempfile.TemporaryDirectory(prefix="ctflow-") as tmp:
        path, rng = f"{tmp}/a.db", random.Random(int(os.environ.get("CTF_SEED", "1")))
        database(path)
        rows = all_rows(path)
        assert len(rows) == 3 * 24150 + 500
        found = [ask(path, rows, rng, tmp) for _ in range(25)]
        assert sum(1 for n in found if n) > 12, found
        pruned(path)
        nat(tmp, rng)
    print(f"25 questions: {sum(found)} rows, as counted among {len(rows)}")


if __name__ == "__main__":
    main()
