# SPDX-License-Identifier: GPL-2.0-or-later
"""Histories of several gateways, in files of SQLite and on a server, and random questions."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "query"))
from history import SEC, T0, History, build, random_flow  # noqa: E402

DAY = 86400 * SEC
DAYS = 2
FROM, UPTO = T0 // DAY * DAY, T0 // DAY * DAY + (DAYS + 2) * DAY  # what is covered
TIMEOUT = 120


def flow(rng, n, end):
    """Of all kinds there are."""
    f = random_flow(rng, end, hosts=30)
    if n % 7 == 0:
        f |= {"src": f"fd00::{n % 5 + 1}", "dst": "2001:db8::7", "nat_src": None,
              "nat_sport": None, "nat_dst": None, "nat_dport": None}
    if n % 5 == 0:
        f["dport"] = 32760 + rng.randrange(20)
    if n % 11 == 0:
        six = "6" if ":" in f["src"] else ""
        f |= dict.fromkeys(("sport", "dport", "nat_sport", "nat_dport"))
        f |= {"proto": 58 if six else 1, f"icmp{six}_type": 128 if six else 8,
              f"icmp{six}_code": n % 3}
    f |= {"zone": rng.randrange(1, 4) if n % 13 == 0 else None,
          "start": None if n % 17 == 0 else f["start"],
          "end": None if n % 19 == 0 else f["end"],
          "tcp_state": 7 if f["proto"] == 6 else None}
    if n % 23 == 0:
        f |= dict.fromkeys(("packets", "bytes"))
    if n % 29 == 0:
        f |= dict.fromkeys(("reply_packets", "rbytes"))
    return {k: v for k, v in f.items() if v is not None and k != "reply_packets"}


def gateway(rng, number, count):
    """Flows within DAYS days; some gaps; some that live, some of which were lost."""
    name, made = f"gw{number}", History()
    made.exporter = name
    ends = sorted(T0 + rng.randrange(DAYS * DAY) for _ in range(count))
    for n, end in enumerate(ends):
        made.flow(**flow(rng, n, end))
    for n in range(count // 20):
        seen = T0 + rng.randrange(DAYS * DAY)
        f = flow(rng, 1 + n * 35, seen)
        f.pop("destroy")
        f.pop("end", None)
        f.pop("reason", None)
        made.living(seen, **f | {"start": seen - rng.randrange(3600 * SEC)})
    for _ in range(number % 3):
        a = T0 + rng.randrange(DAYS * DAY)
        made.gap(a, a + rng.randrange(60 * SEC), cause="overflow", count=rng.randrange(1, 99),
                 count_is="at_most")
    # a day without any was dropped
    made.flow(**flow(rng, 1, UPTO - rng.randrange(3600 * SEC, 20 * 3600 * SEC)))
    made.coverage(FROM, UPTO, to_ns=UPTO, exporter=name)
    return made


def store(made, port, path):
    """On both sides."""
    lines = "".join(line + "\n" for line in made.told)
    made.write(path)
    done = subprocess.run([build("tests/query/history_clickhouse"), f"127.0.0.1:{port}",
                           "--exporter", made.exporter, "--create", "yes"], input=lines,
                          text=True, capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def module():
    return {"CTFLOW_MODULE": build(".libs/ctflow-clickhouse.so")}


def run(databases, *words, env=None, fmt="json", **options):
    """Exit code, what was printed, and what was said."""
    named = [w for d in databases for w in ("-d", d)]
    return subprocess.run([build("ctflow"), *named, "-o", fmt, *map(str, words)], text=True,
                          capture_output=True, timeout=TIMEOUT, check=False,
                          env=os.environ | module() | {"CTFLOW_NOW": at(UPTO + DAY)} | (env or {}),
                          **options)


def plain(verb, text):
    """Without what only one side has; what is alike may stand in any order."""
    answer = json.loads(text)
    rows = answer["matches"] if isinstance(answer, dict) else answer
    for r in rows:
        for key in ("exporter", "name", "src_name", "dst_name", "db", "table"):
            r.pop(key, None)
    if isinstance(answer, dict):
        for key in ("coverage", "gaps"):
            answer.pop(key)
    if verb in ("long", "who", "gaps"):
        rows.sort(key=lambda r: json.dumps(r, sort_keys=True))
    return answer


# ---- random questions ------------------------------------------------------------------


def test(rng):
    host, dst = f"10.0.0.{2 + rng.randrange(30)}", f"198.51.100.{1 + rng.randrange(30)}"
    public = f"203.0.113.{1 + rng.randrange(3)}"
    mask = rng.randrange(1, 512)
    return rng.choice((
        f"src {host}", f"dst {dst}", f"nat src {public}", f"nat dst {host}", f"host {host}",
        f"src net 10.0.0.{rng.randrange(32) & ~7}/29", f"port {rng.choice((53, 443, 1025))}",
        f"dst port > {rng.randrange(40000)}", "tcp", "udp", "icmp", "ip6",
        f"bytes > {rng.randrange(10 ** 6)}", f"src bytes < {rng.randrange(10 ** 6)}",
        f"duration > {rng.randrange(2000)}s", f"mark {rng.randrange(300)}",
        f"mark {rng.randrange(512) & mask}/{mask}",
        f"src net fd00::/{rng.choice((0, 16, 64, 126, 128))}", f"zone {rng.randrange(4)}",
        f"packets < {rng.randrange(1500)}", f"nat src port {rng.randrange(1020, 1040)}",
        f"host in {{{host}, {dst}, {public}, fd00::1}}", "src net 0.0.0.0/0"))


def expression(rng, depth=0):
    x = rng.random()
    if depth > 2 or x < 0.4:
        return test(rng)
    if x < 0.6:
        return f"not ({expression(rng, depth + 1)})"
    return (f"({expression(rng, depth + 1)} {rng.choice(('and', 'or'))}"
            f" {expression(rng, depth + 1)})")


def at(ns):
    return f"@{ns // SEC}.{ns % SEC:09}"


def times(rng):
    hour = 3600 * SEC
    since, until = sorted(T0 + rng.randrange(-hour, DAYS * DAY + hour) for _ in range(2))
    return [w for word, ns in (("since", since), ("until", until + 1)) if rng.random() < 0.5
            for w in (word, at(ns))]


def where(rng):
    return ["where", expression(rng)] if rng.random() < 0.7 else []


def flows_asked(rng):
    verb = rng.choice(("show", "show", "long", "open", "export"))
    if verb == "long":
        return ["long", ">", f"{rng.randrange(600)}s", expression(rng), *times(rng), "limit",
                rng.randrange(1, 40)]
    limit = ["limit", rng.randrange(1, 50)] if rng.random() < 0.6 else []
    return [verb, expression(rng), *times(rng), *limit] + (
        ["--open"] if verb == "export" and rng.random() < 0.5 else [])


KEYS = ("src dst host nat_src nat_dst service port dport sport proto zone mark family").split()
BY = "bytes packets flows orig_bytes reply_bytes orig_packets reply_packets".split()


def sums_asked(rng):
    zone = ["-u"] if rng.random() < 0.4 else []
    if rng.random() < 0.5:
        return [*zone, "top", rng.randrange(1, 30), rng.choice(KEYS), "by", rng.choice(BY),
                *where(rng), *times(rng)]
    return [*zone, "sum", *rng.sample(KEYS, rng.randrange(2)),
            *(["per", rng.choice(("minute", "hour", "day", "week", "month"))]
              if rng.random() < 0.7 else []), *where(rng), *times(rng)]


def who_asked(rng, flows):
    f = rng.choice(flows)
    side = rng.choice(("nat_src", "src", "dst", "nat_dst"))
    port = side[:-3] + {"src": "sport", "dst": "dport"}[side[-3:]]
    address, number = f.get(side, "203.0.113.9"), f.get(port)
    words = ["who", address if number is None or rng.random() < 0.3 else
             f"[{address}]:{number}" if ":" in address else f"{address}:{number}"]
    if rng.random() < 0.5:
        words.append({6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6"}[f["proto"]])
    when = f.get("start", f["destroy"]) + rng.randrange(-60 * SEC, 60 * SEC)
    if rng.random() < 0.2:
        when = T0 + rng.randrange(DAYS * DAY)
    words += ["at", at(max(when, FROM + 100 * SEC)), "--no-live"]
    return words + (["--skew", f"{rng.randrange(90)}s"] if rng.random() < 0.3 else [])
