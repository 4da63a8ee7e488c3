#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""CLICKHOUSE with a real server: every flow exactly once, whatever the server does.

Killed and started again while it is filled, its disk full, its answers lost, wrong,
refused or never given; the wrong password, tables and certificate.
"""
import contextlib
import glob
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import scene  # noqa: E402
from clickhouse import BIN, SECRET, Clickhouse  # noqa: E402
from clickhouse_fakes import Fake, Proxy  # noqa: E402
from daemon import Failed, until  # noqa: E402
from databases import expected, replay  # noqa: E402
from tls_collector import Authority  # noqa: E402

FLOWS = 500_000
DAY = 86400 * 10 ** 9
KEY = "outer,outer_port,at_ns,exporter,nsid,id,start_ns"


def run(lab, tmp, name, options, flows, during=None, more=""):
    return replay(lab, tmp, name, "CLICKHOUSE", options, flows, "", during, more)


def fresh(ch):
    ch.sql("DROP DATABASE IF EXISTS ctflow")


def rows(ch, table="flows"):
    """As databases.expected() has them."""
    text = ch.sql(f"SELECT sport, orig_bytes, intDiv(start_ns, 1000000000), intDiv(start_ns"
                  f" % 1000000000, 1000), intDiv(destroy_ns, 1000000000), intDiv(destroy_ns %"
                  f" 1000000000, 1000) FROM ctflow.{table}")
    return [tuple(map(int, line.split("\t"))) for line in text.splitlines()]


def once(ch, flows):
    """What is wrong unless each flow of the recording is there exactly once."""
    got, want = rows(ch), {expected(i) for i in range(flows)}
    if len(got) != flows or set(got) != want:
        yield (f"{len(got)} rows of {flows} flows; missing {list(want - set(got))[:3]}, unknown "
               f"{list(set(got) - want)[:3]}")


def restarted(lab, tmp, ch):
    """500,000 flows while the server is killed twice."""
    def during(_):
        for part in 5, 2:
            until("rows", lambda p=part: stored(ch) > FLOWS / p, 450, step=0.02)
            ch.restart()
    began = time.monotonic()
    daemon = run(lab, tmp, "restarted", ch.options("batch_rows=20000\n"), FLOWS, during)
    print(f"{FLOWS} flows in {time.monotonic() - began:.1f} s with two restarts, "
          f"{stored(ch) - FLOWS} twice")
    if daemon.code or daemon.log().count("works again") < 2:
        yield f"exit code {daemon.code}: {daemon.words()}"
    for what in f"uniqExact({KEY})", "count()":
        n = ch.number(f"SELECT {what} FROM ctflow.flows_raw FINAL")
        if n != FLOWS:
            yield f"{what} is {n}"
    n = ch.number("SELECT uniqExact(start_ns, sport, orig_bytes) FROM ctflow.flows")
    if n != FLOWS:
        yield f"{n} different flows in the view"
    yield from sides(ch)


def sides(ch):
    """The tables by source and destination find all flows of a host."""
    for side, ip in ("src", "0A000001"), ("dst", "0A000002"):
        n = ch.number(f"SELECT count() FROM ctflow.flows_raw FINAL WHERE (outer, outer_port, at_ns)"
                      f" IN (SELECT outer, outer_port, at_ns FROM ctflow.flows_{side} WHERE {side}"
                      f" = toFixedString(unhex('00000000000000000000FFFF{ip}'), 16))")
        if n != FLOWS:
            yield f"{n} flows by {side}"


def stored(ch):
    try:
        return ch.count("flows_raw")
    except (Failed, OSError):
        return 0


def lost_answer(lab, tmp, ch):
    """The server has the rows, but its answer never comes: they come twice and show once."""
    fresh(ch)
    run(lab, tmp, "first", ch.options(), 1)
    ch.sql("SYSTEM STOP MERGES")
    proxy = Proxy(ch.port, cut=(2, 3, 6))
    options = f'host="127.0.0.1:{proxy.port}"\ncreate=yes\nbatch_rows=1000\n'
    daemon = run(lab, tmp, "answer", options, 10_000)
    proxy.close()
    if daemon.code or proxy.cuts != 3:
        yield f"exit code {daemon.code} after {proxy.cuts} cuts: {daemon.words()}"
    if ch.count("flows_raw") <= 10_000:
        yield "nothing came twice: the test is none"
    yield from once(ch, 10_000)
    ch.sql("SYSTEM START MERGES")


def wrong_password(lab, tmp, ch):
    """Refused at the start, in a line that names all but the password; the right one works."""
    fresh(ch)
    with open(f"{tmp}/secret", "w", encoding="ascii") as f:
        f.write(f"not-{SECRET}\n")
    options = ch.options(f'user=gateway\npassword_file="{tmp}/secret"\n')
    daemon = run(lab, tmp, "wrong", options, 5)
    line = [ln for ln in daemon.words().splitlines() if "gateway" in ln and "assword" in ln]
    if daemon.code != 1 or not line or str(ch.port) not in line[0]:
        yield f"exit code {daemon.code}: {daemon.words()}"
    with open(f"{tmp}/secret", "w", encoding="ascii") as f:
        f.write(f"{SECRET}\n")
    right = run(lab, tmp, "right", options, 5)
    if right.code:
        yield f"with the right password exit code {right.code}: {right.words()}"
    if SECRET in daemon.words() + right.words():
        yield "the password is in the log"
    yield from once(ch, 5)


def wrong_schema(lab, tmp, ch):
    fresh(ch)
    for name, sql, create, words in (
            ("none", "SELECT 1", "no", "there is no table ctflow.flows_raw"),
            ("column", "CREATE DATABASE ctflow; CREATE TABLE ctflow.flows_raw (outer String, at_ns"
             " Int64) ENGINE = MergeTree ORDER BY at_ns", "yes",
             "column outer of ctflow.flows_raw is String, not FixedString(16)"),
            ("newer", "DROP TABLE ctflow.flows_raw; CREATE TABLE"
             " ctflow.meta (key String, value String) ENGINE = ReplacingMergeTree ORDER BY key;"
             " INSERT INTO ctflow.meta VALUES ('version', '2')", "yes",
             "newer version of ctflowd")):
        for statement in sql.split("; "):
            ch.sql(statement)
        daemon = run(lab, tmp, f"schema-{name}", ch.options().replace("yes", create), 5)
        if daemon.code != 1 or words not in daemon.words():
            yield f"{name}: exit code {daemon.code}: {daemon.words()}"


def by_document(lab, tmp, ch):
    """The tables of etc/clickhouse.sql, made by somebody else; twice changes nothing."""
    fresh(ch)
    with open(f"{ROOT}/etc/clickhouse.sql", encoding="ascii") as f:
        statements = [s for s in f.read().split(";\n") if s.strip()]
    for statement in 2 * statements:
        ch.sql(statement)
    options = ch.options().replace("create=yes", "create=no")
    daemon = run(lab, tmp, "document", options, 50)
    if daemon.code or len(statements) < 10:
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(ch, 50)


def retention(_lab, _tmp, ch):
    """Old days go from all tables there are; flows that live, and what came since, stay."""
    labs.away_from_midnight(120)
    fresh(ch)
    with open(f"{ROOT}/etc/clickhouse.sql", encoding="ascii") as f:
        for statement in f.read().split(";\n")[:-1]:
            ch.sql(statement)
    now = time.time_ns()
    begin = now // DAY * DAY - 5 * DAY  # of what is kept
    times = begin - 1, begin, now - 20 * DAY, 7, now
    ch.sql("INSERT INTO ctflow.flows_raw (at_ns) VALUES " + ",".join(f"({t})" for t in times))
    ch.sql("INSERT INTO ctflow.sweeps (at_ns) VALUES " + ",".join(f"({t})" for t in times))
    ch.sql("INSERT INTO ctflow.open_raw (id, seen_ns, state, lost_ns, version) VALUES " + ",".join(
        str(row) for row in (
            (1, begin - DAY, 0, 0, 1), (1, now, 0, 0, 2),  # lives
            (2, begin - DAY, 0, 0, 1), (2, begin - DAY + 1, 2, 0, 9),  # ended long ago
            (3, begin - 2, 2, 0, 9), (3, begin + 3, 0, 0, 1),  # a sighting that came late
            (4, begin - DAY, 0, 0, 1), (4, begin - DAY, 1, begin - 1, 2),
            (5, begin - DAY, 0, 0, 1), (5, begin - DAY, 1, begin + 1, 2))))
    script = [f"{ROOT}/etc/clickhouse-retention.sh", "5", "ctflow", "--port", str(ch.tcp)]
    for command in script, script, script[:2], [script[0], "x", "ctflow"]:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != (0 if command is script else 2):
            yield f"{command}: {done}"
    for table in "flows_raw", "flows_src", "flows_dst", "sweeps":
        kept = ch.sql(f"SELECT at_ns FROM ctflow.{table} ORDER BY at_ns").split()
        if list(map(int, kept)) != [begin, now]:
            yield f"{table} has {kept} of {times}"
    until("deletions", lambda: not ch.number("SELECT count() FROM system.mutations WHERE NOT"
                                             " is_done"), 150, step=0.1)
    flows = ch.sql("SELECT id, state FROM ctflow.open_raw FINAL ORDER BY id")
    if flows != "1\t0\n3\t2\n5\t1\n":
        yield f"open: {flows}"


def altered(lab, tmp, ch):
    """A table that is changed while we fill it: said, kept, and delivered when it is mended."""
    fresh(ch)
    run(lab, tmp, "made", ch.options(), 1)

    def during(daemon):
        until("rows", lambda: stored(ch) >= 1000, step=0.02)
        ch.sql("RENAME TABLE ctflow.flows_raw TO ctflow.elsewhere")
        daemon.wait_log("flows_raw")
        time.sleep(0.5)
        ch.sql("RENAME TABLE ctflow.elsewhere TO ctflow.flows_raw")
    daemon = run(lab, tmp, "altered", ch.options("batch_rows=1000\n").replace(
        "create=yes", "create=no"), 20_000, during)
    if daemon.code or "trying again" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(ch, 20_000)


def bad_servers(lab, tmp, ch):
    """What is no answer: a clear line each, then the next server, and nothing is lost."""
    for kind, words in (("stall", "no answer in time"), ("500", "HTTP status 500"),
                        ("garbage", "not an answer of ClickHouse"), ("noise", "HTTP/0.9"),
                        ("endless", "an answer without an end"), ("close", "mpty reply"),
                        ("short", "closed with")):
        fresh(ch)
        fake = Fake(ch.port, kind)
        options = (f'host="127.0.0.1:{fake.port}"\ncreate=yes\ntimeout=3\nbatch_rows=500\n')

        def during(daemon, fake=fake, words=words):
            daemon.wait_log(words)
            fake.mend()
        daemon = run(lab, tmp, f"bad-{kind}", options, 2000, during)
        fake.close()
        if daemon.code or not fake.bad:
            yield f"{kind}: exit code {daemon.code}: {daemon.words()}"
        yield from (f"{kind}: {p}" for p in once(ch, 2000))


def failover(lab, tmp, ch):
    """The first of two is not there: said in no error, the second takes over."""
    fresh(ch)
    fake = Fake(ch.port, "close")
    daemon = run(lab, tmp, "failover", f'host="127.0.0.1:{fake.port}, 127.0.0.1:{ch.port}"\n'
                 "create=yes\n", 2000)
    fake.close()
    if daemon.code or f"127.0.0.1 port {ch.port} takes over" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(ch, 2000)


def spool(tmp, name):
    return f'spool_dir="{tmp}/{name}-spool"\nspool_sync=0\nqueue=64K\n'


def spooled(tmp, name):
    return sum(os.path.getsize(f) for f in glob.glob(f"{tmp}/{name}-spool/**", recursive=True)
               if os.path.isfile(f))


def disk_full(lab, tmp, _):
    """No room on the server's disk: spooled, and all there when there is room again."""
    small = f"{tmp}/small"
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "none", small], check=True)
    try:
        with Clickhouse(tmp, "full", data=f"{small}/data") as ch:
            def during(daemon):
                until("rows", lambda: stored(ch) >= 5_000, step=0.02)
                fill(f"{small}/filler")
                daemon.wait_log("trying again")
                until("the spool", lambda: spooled(tmp, "full") > 1 << 20)
                os.remove(f"{small}/filler")
            daemon = run(lab, tmp, "full-daemon", ch.options(
                "batch_rows=2000\n" + spool(tmp, "full")), 100_000, during)
            run(lab, tmp, "full-daemon", ch.options(spool(tmp, "full")), 0, lambda again: until(
                "the spool", lambda: ch.count() >= 100_000) and again.send(signal.SIGTERM))
            said = [ln for ln in daemon.words().splitlines() if "trying again" in ln]
            if daemon.code or not re.search("space|No space", said[0] if said else ""):
                yield f"exit code {daemon.code}: {daemon.words()}"
            yield from once(ch, 100_000)
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        for size in 1 << 20, 1 << 12:
            with contextlib.suppress(OSError):
                while f.write(b"\0" * size) == size:
                    pass


def stopped(lab, tmp, ch):
    """A server that answers no more holds up no stop, and no flow is lost or doubled."""
    fresh(ch)
    fake = Fake(ch.port, "stall")
    options = f'host="127.0.0.1:{fake.port}"\ncreate=yes\nbatch_rows=500\n{spool(tmp, "stop")}'

    def during(daemon):
        until("an insert", lambda: fake.bad, step=0.02)
        began = time.monotonic()
        daemon.send(signal.SIGTERM)
        daemon.wait()
        times.append(time.monotonic() - began)
    times = []
    first = run(lab, tmp, "frozen", options, 20_000, during, "stop_timeout=1\n")
    events = int(re.search("events=(\\d+)", first.log()).group(1))
    fake.mend()

    def again(daemon):
        until("the spool", lambda: ch.count() >= events)
        daemon.send(signal.SIGTERM)
    daemon = run(lab, tmp, "frozen", options, 0, again)
    fake.close()
    if first.code or daemon.code or times[0] > 60 or not events:
        yield f"{times[0]:.1f} s for {events} flows, exit code {first.code}, then {daemon.code}: " \
            f"{daemon.words()}"
    yield from once(ch, events)


def tls(lab, tmp, _):
    """A certificate by the right authority, for the right name, and one of our own."""
    certificates = f"{tmp}/certificates"
    os.mkdir(certificates)
    ca, other = (Authority(certificates, name) for name in ("ca", "other"))
    pair, ours = ca.sign("server", "DNS:localhost"), ca.sign("client", "DNS:client")
    theirs = {"cert": pair[0], "key": pair[1], "ca": ca.ca, "verify": "strict"}
    with Clickhouse(tmp, "tls", tls=theirs) as ch:
        mine = f'tls_cert="{ours[0]}"\ntls_key="{ours[1]}"\n'
        for name, host, more, words in (
                ("right", "localhost", f'tls_ca="{ca.ca}"\n{mine}', ""),
                ("authority", "localhost", f'tls_ca="{other.ca}"\n{mine}', "certificate"),
                ("name", "127.0.0.1", f'tls_ca="{ca.ca}"\n{mine}', "certificate"),
                ("nobody", "localhost", f'tls_ca="{ca.ca}"\n', "certificate")):
            def during(daemon, words=words):
                if words:
                    daemon.wait_log("trying again")
                    daemon.wait_log(words)
                    daemon.send(signal.SIGTERM)
            daemon = run(lab, tmp, f"tls-{name}", f'host="{host}:{ch.tls}"\ntls=yes\ncreate=yes\n'
                         + more, 5, during, "stop_timeout=1\n" if words else "")
            said = [ln for ln in daemon.log().splitlines() if "trying again" in ln]
            if daemon.code or bool(said) != bool(words):
                yield f"{name}: exit code {daemon.code}: {daemon.log()}"
        yield from once(ch, 5)


def chosen(*parts):
    """Those that CLICKHOUSE_PARTS names, or all."""
    names = os.environ.get("CLICKHOUSE_PARTS", "").split()
    return [p for p in parts if not names or p.__name__ in names]


def test(lab, tmp):
    problems = []
    with Clickhouse(tmp) as ch:
        for part in chosen(restarted, lost_answer, wrong_password, wrong_schema, by_document,
                           retention, altered, bad_servers, failover, stopped, disk_full, tls):
            began = time.monotonic()
            problems += [f"{part.__name__}: {p}" for p in part(lab, tmp, ch)]
            print(f"{part.__name__}: {time.monotonic() - began:.1f} s", flush=True)
    return problems


os.environ["PATH"] += ":/usr/sbin"
if not os.access(BIN, os.X_OK):
    labs.skip("needs clickhouse-server")
if __name__ == "__main__":
    scene.main(test)
