#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow show, export, open, long and gaps against what was told to the database."""
import csv
import io
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import (SEC, T0, History, build, ctflow, random_flow,  # noqa: E402
                     random_history)

NUMBERS = {"proto": "proto", "sport": "sport", "dport": "dport", "nat_sport": "nat_sport",
           "nat_dport": "nat_dport", "packets": "orig_packets", "bytes": "orig_bytes",
           "rpackets": "reply_packets", "rbytes": "reply_bytes", "id": "id",
           "status": "status", "reason": "end_reason"}


def ns_of(iso):
    """ISO 8601 with nine digits, as ctflow writes it."""
    whole, rest = re.fullmatch(r"(.*)\.(\d{9})Z", iso).groups()
    at = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return int(at.timestamp()) * SEC + int(rest)


def same(row, flow):
    """A row of ctflow says what was told."""
    for key in ("start", "end"):
        assert ns_of(row[key]) == flow[key], (key, row, flow)
    assert ns_of(row["at"]) == flow["destroy"] and row["state"] == "ended", row
    for key in ("src", "dst", "nat_src", "nat_dst"):
        assert row[key] == flow.get(key), (key, row, flow)
    for key, name in NUMBERS.items():
        assert row[name] == flow.get(key), (key, row, flow)
    assert row["mark"] == flow.get("mark", 0), (row, flow)
    assert abs(row["duration"] * SEC - (flow["end"] - flow["start"])) < 1000, (row, flow)


def all_same(rows, flows):
    assert len(rows) == len(flows), (len(rows), len(flows))
    for row, flow in zip(rows, flows):
        same(row, flow)


def in_range(flows, since, until):
    return [f for f in flows if since <= f["end"] < until]


def by_time(flows):
    return sorted(flows, key=lambda f: f["destroy"])


def ranges(path, told):
    rng = random.Random(5)
    all_same(ctflow(path, "show"), told)
    for _ in range(20):
        a, b = sorted(T0 + rng.randrange(-200, 7400) * SEC for _ in range(2))
        b += 1
        flows = in_range(told, a, b)
        words = ("since", f"@{a // SEC}.{a % SEC:09}", "until", f"@{b // SEC}.{b % SEC:09}")
        all_same(ctflow(path, "show", *words), flows)
        if flows:
            n = rng.randrange(1, len(flows) + 2)
            all_same(ctflow(path, "show", *words, "limit", n), flows[-n:])
    f = told[17]
    iso = datetime.fromtimestamp(f["end"] // SEC, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    got = ctflow(path, "show", f"host {f['src']}", "since", iso + f".{f['end'] % SEC:09}Z")
    assert got and all(f["src"] in (r["src"], r["dst"]) for r in got)
    assert f["id"] in [r["id"] for r in got]


def expressions(path, told, tmp):
    tests = {
        "udp": lambda f: f["proto"] == 17,
        "dst port 443 and bytes > 100K": lambda f: f["dport"] == 443 and
                                         f["bytes"] + f["rbytes"] > 102400,
        "not nat src net 203.0.113.0/24": lambda f: "nat_src" not in f,
        "src 10.0.0.3 or dst 198.51.100.7": lambda f: f["src"] == "10.0.0.3" or
                                                      f["dst"] == "198.51.100.7",
        "duration > 10m": lambda f: (f["end"] - f["start"]) // 10 ** 6 > 600000,
    }
    for text, want in tests.items():
        flows = [f for f in told if want(f)]
        assert 0 < len(flows) < len(told), text
        all_same(ctflow(path, "show", text), flows)
        all_same(ctflow(path, "show", *text.replace(">", "> ").split()), flows)
        all_same(ctflow(path, "show", "where", text), flows)
        assert len(ctflow(path, "export", text, fmt="csv").splitlines()) == len(flows) + 1
    with open(f"{tmp}/list", "w", encoding="ascii") as f:
        f.write("10.0.0.3 # a host\n10.0.0.9\n2001:db8::/32\n")
        f.writelines(f"192.0.{i // 250}.{i % 250}\n" for i in range(10000))
    all_same(ctflow(path, "show", f"src host in @{tmp}/list"),
             [f for f in told if f["src"] in ("10.0.0.3", "10.0.0.9")])


def formats(path, told):
    rows = ctflow(path, "show", "limit", 50)
    lines = ctflow(path, "show", "limit", 50, fmt="ndjson").splitlines()
    assert [json.loads(line) for line in lines] == rows
    texts = [{k: "" if v is None else str(v) for k, v in r.items() if k != "duration"}
             for r in rows]
    for fmt, way in (("csv", "excel"), ("tsv", "excel-tab")):
        text = ctflow(path, "show", "limit", 50, fmt=fmt)
        got = list(csv.DictReader(io.StringIO(text), dialect=way))
        assert [{k: v for k, v in r.items() if k != "duration"} for r in got] == texts, fmt
    table = ctflow(path, "show", "-u", "limit", 50, fmt="table").splitlines()
    assert len(table) == 51 and table[0].split()[:3] == ["START", "END", "DURATION"], table[0]
    assert len({line.index(" tcp ") for line in table[1:] if " tcp " in line}) == 1
    last = told[-1]
    assert last["src"] in table[-1] and last["dst"] in table[-1], table[-1]
    start = datetime.fromtimestamp(last["start"] // SEC, timezone.utc)
    assert table[-1].startswith(start.strftime("%Y-%m-%d %H:%M:%S")), table[-1]
    assert ctflow(path, "show", "port 1", fmt="json") == []
    assert ctflow(path, "show", "port 1", fmt="table") == ""
    zone = {**os.environ, "TZ": "XYZ-5:30"}
    local = ctflow(path, "show", "limit", 1, fmt="table", env=zone).splitlines()[1]
    assert local[:16] == datetime.fromtimestamp(last["start"] // SEC + 19800, timezone.utc) \
        .strftime("%Y-%m-%d %H:%M"), local


def several(tmp, path, told):
    """Two files and a copy of one, in one order."""
    rng, other = random.Random(8), History()
    for _ in range(300):
        other.flow(**random_flow(rng, T0 + rng.randrange(7200 * SEC)))
    other.write(f"{tmp}/b.db")
    rows = ctflow([path, f"{tmp}/b.db"], "show")
    all_same(rows, by_time(told + other.flows))
    newest = ctflow([path, f"{tmp}/b.db"], "show", "limit", 30)
    assert newest == rows[-30:]
    shutil.copy(path, f"{tmp}/copy of #a?.db")
    all_same(ctflow(f"{tmp}/copy of #a?.db", "show"), told)
    # the same one twice is one
    all_same(ctflow([path, path], "show"), told)
    other.gap(T0, T0 + 5 * SEC, cause="overrun", count=17, count_is="exact")
    other.write(f"{tmp}/b.db")
    gaps = ctflow([path, f"{tmp}/b.db"], "gaps")
    assert [(g["cause"], g["count"], ns_of(g["from"]), ns_of(g["to"]), g["length"]) for g in gaps] \
        == [("overrun", 17, T0, T0 + 5 * SEC, 5)], gaps
    assert len(ctflow(f"{tmp}/b.db", "gaps", "since", f"@{T0 // SEC + 5}")) == 1
    assert ctflow(f"{tmp}/b.db", "gaps", "since", f"@{T0 // SEC + 6}") == []
    assert ctflow(f"{tmp}/b.db", "gaps", "until", f"@{T0 // SEC}") == []


def living(tmp):
    rng, made = random.Random(11), History()
    for n in range(400):
        flow = random_flow(rng, T0 + rng.randrange(3600 * SEC), longest=80000)
        if n % 4:
            made.flow(**flow)
        else:
            for key in ("end", "destroy", "reason"):
                flow.pop(key)
            made.living(T0 + 4000 * SEC, **flow)
    made.write(f"{tmp}/open.db")
    path = f"{tmp}/open.db"
    rows = ctflow(path, "open")
    assert sorted(r["id"] for r in rows) == sorted(f["id"] for f in made.seen)
    assert all(r["state"] == "open" and r["end"] is None and
               ns_of(r["at"]) == T0 + 4000 * SEC for r in rows)
    told = {f["id"]: f for f in made.seen}
    for r in rows:
        f = told[r["id"]]
        assert (r["src"], r["sport"], r["nat_src"], r["orig_bytes"], r["reply_packets"]) == \
            (f["src"], f["sport"], f.get("nat_src"), f["bytes"], f["rpackets"]), (r, f)
    some = ctflow(path, "open", "udp")
    assert sorted(r["id"] for r in some) == sorted(i for i, f in told.items() if f["proto"] == 17)
    lasted = {f["id"]: f["end"] - f["start"] for f in made.flows} | \
        {i: T0 + 4000 * SEC - f["start"] for i, f in told.items()}
    best = sorted((n for n in lasted.values() if n > 3600 * SEC), reverse=True)
    for words in (("> 1h",), (">", "1h"), (">1h",), ("1h",)):
        rows = ctflow(path, "long", *words)
        assert [lasted[r["id"]] for r in rows] == best[:50], words
    rows = ctflow(path, "long", "> 1h", "tcp", "limit", 1000)
    tcp = [f["id"] for f in made.flows + made.seen if f["proto"] == 6]
    assert [lasted[r["id"]] for r in rows] == sorted(
        (lasted[i] for i in tcp if lasted[i] > 3600 * SEC), reverse=True)
    assert len(ctflow(path, "export", "--open", fmt="ndjson").splitlines()) == 400
    assert len(ctflow(path, "export", fmt="ndjson").splitlines()) == 300


def nat_only(tmp):
    """profile=nat: inside and outside; what it does not keep is said."""
    path, made = f"{tmp}/nat.db", random_history(6, 400)
    made.write(path, "--profile", "nat", "--spare")
    rows = {r["id"]: r for r in ctflow(path, "show")}
    assert len(rows) == 400
    for f in (f for f in made.flows if "nat_dst" not in f):
        r = rows[f["id"]]
        assert [r[k] for k in ("src", "sport", "nat_src", "nat_sport", "dst", "dport", "orig_bytes")] \
            == [f["src"], f["sport"], f.get("nat_src"), f.get("nat_sport"), None, None, None], (r, f)
        assert (ns_of(r["start"]), ns_of(r["end"])) == (f["start"], f["end"]), (r, f)
    one = next(f for f in made.flows if "nat_src" in f and "nat_dst" not in f)
    ids = [r["id"] for r in ctflow(path, "show", "nat", "src", one["nat_src"], "and", "nat", "src",
                                   "port", one["nat_sport"])]
    assert one["id"] in ids, ids
    done = subprocess.run([build("ctflow"), "-d", path, "show", "tcp and dst port 443"], text=True,
                          capture_output=True, timeout=300, check=False)
    assert done.returncode == 0 and done.stdout == "", done
    assert '"dst port 443" asks for what was not kept there' in done.stderr, done


def wrong(tmp, path):
    def fails(code, says, *words, db=path, env=None):
        done = subprocess.run([build("ctflow"), *(["-d", db] if db else []), *words], text=True,
                              capture_output=True, timeout=300, check=False, env=env)
        assert (done.returncode, done.stdout) == (code, ""), (words, done)
        assert says in done.stderr and done.stderr.startswith(("ctflow: ", "usage: ")), done.stderr

    fails(64, 'unknown verb "shwo"', "shwo")
    fails(64, "unknown option --furmat", "show", "--furmat", "x")
    fails(64, "unknown option -x", "-x", "show")
    fails(64, "--db: FILE is missing", "show", "-d")
    fails(64, "-o yaml", "show", "-o", "yaml")
    fails(64, "usage: ctflow VERB", db=None)
    fails(64, 'is "port" meant?\n    dst prot 80\n        ^', "show", "dst prot 80")
    fails(64, "is no time", "show", "since", "half past")
    fails(64, "given twice", "show", "since", "1h", "since", "2h")
    fails(64, 'missing behind "until"', "show", "until")
    fails(64, "not before", "show", "since", "now", "until", "1h")
    fails(64, "limit", "show", "limit", "0")
    fails(64, "limit", "show", "limit", "many")
    fails(64, "not expected here", "gaps", "limit", "5")
    fails(64, "an expression in front", "show", "tcp", "where", "udp")
    fails(64, "for people", "export", "-o", "table")
    fails(64, "no length of time", "long", "> much")
    fails(64, "/nowhere", "show", "host in @/nowhere")
    fails(4, "No such file", "show", db=f"{tmp}/none.db")
    fails(4, "not a regular file", "show", db=tmp)
    with open(f"{tmp}/text.db", "w", encoding="ascii") as f:
        f.write("this is no database at all, but it is long enough to look like one\n" * 20)
    fails(4, "not an SQLite database", "show", db=f"{tmp}/text.db")
    with sqlite3.connect(f"{tmp}/other.db") as c:
        c.execute("CREATE TABLE flows(a)")
    fails(4, "no database of ctflowd's making", "show", db=f"{tmp}/other.db")
    shutil.copy(path, f"{tmp}/newer.db")
    with sqlite3.connect(f"{tmp}/newer.db") as c:
        c.execute("UPDATE meta SET value = 4 WHERE key = 'version'")
    fails(4, "a newer version of ctflowd (schema 4", "show", db=f"{tmp}/newer.db")
    fails(4, 'no table "other"', "show", "--table", "other")


def configured(tmp, path, told):
    """The databases of the stacks, and of no others."""
    with open(f"{tmp}/c.conf", "w", encoding="ascii") as f:
        f.write('[global]\nstack="a:NFCT, s1:SQLITE3"\n#stack="a:NFCT,s2:SQLITE3"\n'
                f'stack="a:NFCT,e:LOGEMU"\n[s1]\ndb="{path}"\ntable="flows"\n'
                f'[s2]\ndb="{tmp}/none.db"\ntable="flows"\n')

    def run(*words):
        return subprocess.run([build("ctflow"), "-o", "json", *words], text=True, timeout=300,
                              capture_output=True, check=False)

    all_same(json.loads(run("-c", f"{tmp}/c.conf", "show").stdout), told)
    done = run("-c", f"{tmp}/c.conf", "show", "--table=others")
    assert done.returncode == 4 and "no stack has SQLITE3 with the table others" in done.stderr, done
    done = run("-c", f"{tmp}/none.conf", "show")
    assert done.returncode == 4 and "none.conf: No such file" in done.stderr, done


def main():
    with tempfile.TemporaryDirectory(prefix="ctflow-") as tmp:
        path, made = f"{tmp}/a.db", random_history(3, 1200)
        made.write(path, "--spare")
        told = by_time(made.flows)
        ranges(path, told)
        expressions(path, told, tmp)
        formats(path, told)
        several(tmp, path, told)
        living(tmp)
        nat_only(tmp)
        wrong(tmp, path)
        configured(tmp, path, told)
    print("show, open, long, export and gaps say what was told")


if __name__ == "__main__":
    main()
