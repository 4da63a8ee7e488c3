#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow report: the numbers are those of SQL, and a browser shows it without a network."""
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, T0, History, build, random_history  # noqa: E402
import chromium  # noqa: E402

SINCE, UNTIL = T0 + 600 * SEC, T0 + 6600 * SEC
RANGE = f"WHERE end_ns >= {SINCE} AND end_ns < {UNTIL}"
SERVICE = "CASE proto WHEN 6 THEN 'tcp/' ELSE 'udp/' END || dport"
EVIL = "<script>alert(1)</script>&\"'"


def report(path, page, *words, want=0):
    done = subprocess.run([build("ctflow"), "-d", path, "report", *words, "--html", page],
                          text=True, capture_output=True, timeout=120, check=False)
    assert done.returncode == want and done.stdout == "", done
    return done.stderr


def table(html, name):
    """Rows of a table: the first cell, and the numbers of the others."""
    body = re.search(rf'<table id="{name}">.*?<tbody>(.*?)</tbody>', html, re.S).group(1)
    return [[re.search(r'<th scope="row">(.*?)(?:<span|</th>)', row, re.S).group(1)]
            + [float(x) for x in re.findall(r'<data value="([\d.]+)"', row)]
            for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]


def tile(html, name):
    return int(re.search(rf'id="t-{name}">.*?value="(\d+)"', html, re.S).group(1))


def numbers(path, html):
    db = sqlite3.connect(path)
    total = db.execute(f"SELECT count(*), sum(orig_bytes), sum(reply_bytes),"
                       f" sum(orig_packets + reply_packets) FROM flows {RANGE}").fetchone()
    assert total[0] > 500, total
    assert (tile(html, "flows"), tile(html, "bytes")) == (total[0], total[1] + total[2])
    slots = table(html, "slots")
    assert len(slots) > 50
    assert [sum(row[i] for row in slots) for i in (4, 1, 2, 3)] == list(total)
    for name, key in (("hosts", "src"), ("services", SERVICE)):
        want = db.execute(
            f"SELECT {key}, sum(orig_bytes + reply_bytes) b, sum(orig_bytes), sum(reply_bytes),"
            f" sum(orig_packets + reply_packets), count(*) FROM flows {RANGE}"
            " GROUP BY 1 ORDER BY b DESC LIMIT 20").fetchall()
        assert table(html, name) == [list(row) for row in want], (name, want)
    want = db.execute(f"SELECT nat_src, count(*), count(DISTINCT nat_sport * 256 + proto)"
                      f" FROM flows {RANGE} AND nat_src IS NOT NULL GROUP BY 1").fetchall()
    got = table(html, "nat")
    assert sorted(row[:3] for row in got) == sorted(list(row) for row in want), (got, want)
    assert all(1 < row[3] <= row[1] for row in got), got
    want = db.execute(f"SELECT end_ns - start_ns d FROM flows {RANGE}"
                      " ORDER BY d DESC LIMIT 20").fetchall()
    assert [row[1] for row in table(html, "longest")] == [round(d / 1e9, 3) for d, in want]
    rows, = db.execute("SELECT count(*) FROM flows").fetchone()
    assert table(html, "dbs")[0][2] == rows
    gaps = re.search(r'<table id="gaps">.*?</table>', html, re.S).group(0)
    assert "overrun" in gaps and "17 (exact)" in gaps


def watched(html):
    """In percent."""
    return float(re.search(r'id="t-seen"><dt>.*?</dt><dd>([\d.]+) %', html).group(1))


def living(tmp):
    """Flows that are open count as such, and fill the pool until now; it is bounded."""
    path, page, made = f"{tmp}/living.db", f"{tmp}/living.html", History()
    began, seen = SINCE + 100 * SEC, SINCE + 3000 * SEC
    made.coverage(SINCE, UNTIL)
    made.coverage(SINCE, SINCE + 3000 * SEC, instance="other")
    # Lost on one side: the other one was there for half of it.
    made.gap(SINCE + 2400 * SEC, SINCE + 3600 * SEC, cause="overrun", count=5, count_is="exact")
    made.gap(SINCE, UNTIL, cause="counters", count=0, count_is="exact")
    for n in range(3):
        made.living(seen, src="10.0.0.2", sport=5000 + n, dst="198.51.100.1", dport=443, proto=6,
                    start=began + n * SEC, id=n + 1, packets=10, bytes=1000, rpackets=5,
                    rbytes=500, nat_src="203.0.113.1", nat_sport=5000 + n)
    made.sweep(seen, previous_ns=SINCE, min_age_ns=60 * SEC)
    for n in range(2100):
        made.flow(src="10.0.0.2", sport=1024, dst="198.51.100.1", dport=53, proto=17, id=9 + n,
                  start=began, end=seen + n, destroy=seen + 30 * SEC + n, packets=1, bytes=1,
                  rpackets=0, rbytes=0, nat_src=f"203.{n // 250}.0.{n % 250}", nat_sport=1024)
    made.write(path)
    report(path, page, "since", f"@{SINCE // SEC}", "until", f"@{UNTIL // SEC}")
    with open(page, encoding="utf-8") as f:
        html = f.read()
    assert (tile(html, "alive"), tile(html, "flows")) == (3, 2100)
    assert re.search(r"4\.50? kB so far", html, re.I), re.findall("[^>]* so far", html)
    assert tile(html, "bytes") == 3 * 1500 + 2100
    assert watched(html) == 90, watched(html)
    first = table(html, "nat")[0]
    assert first == ["203.0.113.1", 3, 3, 3], first
    more, = re.findall(r"([\d,]+) flows of further addresses are not here", html)
    assert more in ("52", "53"), more  # with that of the living ones


def browser(page, keep):
    shown = chromium.Browser()
    try:
        for width, scheme in ((1280, "light"), (1280, "dark"), (360, "light")):
            shown.open("file://" + page, width, 900, scheme, width < 500)
            assert shown.said() == [], shown.said()
            asked, left = shown.asked()
            assert asked and all(u.startswith(("file://" + page, "data:")) for u in asked), asked
            assert left == [], left
            assert shown.value("document.documentElement.scrollWidth") <= width
            assert shown.value("document.querySelectorAll('svg path.fa').length") == 1
            assert shown.value("document.scripts.length") == 0
            dark = shown.value("getComputedStyle(document.body).backgroundColor")
            assert (dark == "rgb(17, 21, 27)") == (scheme == "dark"), dark
            if keep:
                shown.picture(f"{keep}/{width}-{scheme}.png")
    finally:
        shown.close()


def main():
    with tempfile.TemporaryDirectory() as tmp:
        path, page = f"{tmp}/flows.db", f"{tmp}/page.html"
        made = random_history(21, 1500)
        made.gap(T0 + 3000 * SEC, T0 + 3060 * SEC, cause="overrun", count=17, count_is="exact")
        made.coverage(T0, T0 + 7200 * SEC, instance=EVIL)
        made.write(path)
        words = ("since", f"@{SINCE // SEC}", "until", f"@{UNTIL // SEC}")
        report(path, page, *words)
        with open(page, encoding="utf-8") as f:
            html = f.read()
        numbers(path, html)
        assert "<script" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert not re.search(r"https?://", html)
        # All or nothing: what was there stays, and nothing is left beside it.
        assert "before" in report(path, page, "since", "@20", "until", "@10", want=64)
        with open(page, encoding="utf-8") as f:
            assert f.read() == html
        assert sorted(n for n in os.listdir(tmp) if "html" in n) == ["page.html"]
        assert "no/page" in report(path, f"{tmp}/no/page", *words, want=4)
        assert "regular" in report(path, "/dev/null", *words, want=64)
        assert watched(html) == 100, watched(html)  # the gap is of one of two
        living(tmp)
        report(path, f"{tmp}/empty.html", "since", "@1000", "until", "@2000")
        assert chromium.program(), "there is no chromium"
        browser(page, os.environ.get("REPORT_PICTURES"))
        browser_empty(f"{tmp}/empty.html")
    print("the page is what SQL says")


def browser_empty(page):
    with open(page, encoding="utf-8") as f:
        html = f.read()
    assert (tile(html, "flows"), tile(html, "bytes")) == (0, 0)


if __name__ == "__main__":
    main()
