#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A database of an earlier version answers as one that is made now.

version2.sql was written by that version when it was told version2.lines.
"""
import os
import sqlite3
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from history import SEC, T0, ctflow, write  # noqa: E402

QUESTIONS = ("udp", "icmp type 8", "icmp code 1", "src net 2001:db8::/64", "ip6 and nat src port 50000",
             "any host 203.0.113.1", "nat dst net 10.0.0.0/24", "src 192.0.2.200", "dst port 443",
             "zone 1-20", "mark > 0", "duration > 20m", "bytes > 500K", "not nat", "family ipv6",
             "net 128.0.0.0/1", "src port > 1028", "nat src host {203.0.113.1, 2001:db8:1::99}")


def old(path, *changes):
    with open(f"{HERE}/version2.sql", encoding="utf-8") as f, sqlite3.connect(path) as c:
        c.executescript(f.read())
        for sql in changes:
            c.execute(sql)
    c.close()


def who(path, flow, states):
    """Those that had the address and port of a flow at its end."""
    outside = f"[{flow['nat_src']}]" if ":" in flow["nat_src"] else flow["nat_src"]
    answer = ctflow(path, "who", f"{outside}:{flow['nat_sport']}",
                    {6: "tcp", 17: "udp"}[flow["proto"]], "at", flow["end"] or flow["at"],
                    "--no-live", want=(0, 1, 2, 3))
    return [m | {"db": None} for m in answer["matches"] if m["state"] in states]


def whose(path, other, flows, states):
    asked = [f for f in flows if f["nat_src"] and f["nat_sport"] and f["proto"] in (6, 17)
             and f["state"] in states]
    for flow in asked:
        matches = who(path, flow, states)
        assert any(m["src"] == flow["src"] for m in matches), (flow, matches)
        assert who(other, flow, states) == matches, flow
    return len(asked)


def main():
    with tempfile.TemporaryDirectory(prefix="ctflow-") as tmp:
        with open(f"{HERE}/version2.lines", encoding="ascii") as f:
            lines = f.read().splitlines()
        old(f"{tmp}/2.db")
        old(f"{tmp}/1.db", "DROP VIEW open_flows", "DROP TABLE flows_open_1",
            "DELETE FROM meta WHERE key LIKE 'open:%'",
            "UPDATE meta SET value = 1 WHERE key = 'version'")
        write(f"{tmp}/3.db", lines)
        now = ctflow(f"{tmp}/3.db", "export", "--open")
        assert len(now) == 36 and len({r["id"] for r in now}) == 36
        assert ctflow(f"{tmp}/2.db", "export", "--open") == now
        assert ctflow(f"{tmp}/1.db", "export", "--open") == [
            r for r in now if r["state"] == "ended"]
        some = 0
        for text in QUESTIONS:
            rows = ctflow(f"{tmp}/3.db", "export", "--open", text)
            assert ctflow(f"{tmp}/2.db", "export", "--open", text) == rows, text
            some += bool(rows)
        assert some > 12, some
        for words in (("since", f"@{T0 // SEC + 60}"), ("until", f"@{T0 // SEC + 60}"),
                      ("limit", 7), ("udp", "limit", 3)):
            rows = ctflow(f"{tmp}/3.db", "show", *words)
            assert rows and ctflow(f"{tmp}/2.db", "show", *words) == rows, words
        for verb in ("gaps", "open", "long"):
            rows = ctflow(f"{tmp}/3.db", verb)
            old_rows = ctflow(f"{tmp}/2.db", verb)
            for r in rows + old_rows:
                r.pop("db", None)
            assert rows and old_rows == rows, verb
        asked = whose(f"{tmp}/3.db", f"{tmp}/2.db", now, ("ended", "open"))
        asked += whose(f"{tmp}/3.db", f"{tmp}/1.db", now, ("ended",))
        assert asked > 10, asked
    print(f"{len(QUESTIONS) + asked} questions to an older database")


if __name__ == "__main__":
    main()
