#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""PGSQL with a real PostgreSQL: every flow exactly once, whatever the server does.

Restarted while it is filled, its answer to COMMIT lost, a password that is
wrong, rows it refuses, a role that may not make tables; and beside ulogd2.
"""
import glob
import os
import re
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from databases import (Proxy, Server, away, beside, killed, once, replay,  # noqa: E402
                       reloads, row_gone, stopped)

BIN = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]
FLOWS = 100_000
SECRET = "s3cret-of-pgsql"
COLUMNS = ("orig_l4_sport,orig_raw_pktlen,flow_start_sec,flow_start_usec,flow_end_sec,"
           "flow_end_usec")


class Postgres(Server):
    def __init__(self, tmp):
        super().__init__(tmp, "pg", "postgres")
        self.call(f"{BIN}/initdb", "-N", "-A", "trust", "-U", "root", "-E", "UTF8",
                  "--locale=C", "-D", f"{self.dir}/data")
        with open(f"{self.dir}/data/pg_hba.conf", "w", encoding="utf-8") as f:
            f.write("local all locked scram-sha-256\nlocal all all trust\n")
        self.start()
        self.sql("CREATE DATABASE nulog", db="postgres")

    def start(self):
        self.begin(f"{BIN}/postgres", "-D", f"{self.dir}/data", "-k", self.dir, "-h", "",
                   "-F", "-c", "deadlock_timeout=100ms")
        until("PostgreSQL", lambda: os.system(
            f"{BIN}/pg_isready -q -h {self.dir}") == 0, step=0.1)

    def restart(self, number=signal.SIGINT):
        self.end(number)
        self.start()

    def sql(self, text, db="nulog"):
        return self.call(f"{BIN}/psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U",
                         "root", "-h", self.dir, "-d", db, "-c", text)

    def load(self, path):
        with open(path, encoding="utf-8") as f:
            return self.sql(f.read())

    def rows(self, table="ulog2_ct", columns=COLUMNS):
        text = self.sql(f"COPY (SELECT {columns} FROM {table}) TO STDOUT")
        return [tuple(map(int, line.split("\t"))) for line in text.splitlines()]

    def count(self, table="ulog2_ct"):
        return int(self.sql(f"SELECT count(*) FROM {table}"))

    def idle(self):
        until("the old session to end", lambda: self.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ctflowd'") == "0\n")

    def options(self, more="", user="root"):
        return f'host="{self.dir}"\ndb=nulog\nuser={user}\ntable=ulog2_ct\n' \
            f"procedure=INSERT_CT\n{more}"


def fresh(pg):
    """The schema that comes with ctflowd, and nothing in it."""
    pg.sql("DROP TABLE IF EXISTS ulog2_ct, ctflowd_progress CASCADE")
    pg.load(f"{ROOT}/etc/pgsql.sql")


def restarted(lab, tmp, pg):
    """100,000 flows while the server is restarted twice, once without ceremony."""
    fresh(pg)

    def during(_):
        for part, number in (5, signal.SIGINT), (2, signal.SIGQUIT):
            until("rows", lambda p=part: pg.count() > FLOWS / p, 450, step=0.02)
            pg.restart(number)
    began = time.monotonic()
    daemon = replay(lab, tmp, "restarted", "PGSQL",
                    pg.options().replace("INSERT_CT", "INSERT"), FLOWS, during=during)
    print(f"{FLOWS} flows in {time.monotonic() - began:.1f} s with two restarts")
    if daemon.code or daemon.log().count("works again") < 2:
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(pg.rows(), FLOWS)


def lost_answer(lab, tmp, pg):
    """COMMIT arrives, its answer does not."""
    fresh(pg)
    proxy = Proxy(f"{pg.dir}/.s.PGSQL.5432", cut=(2, 3, 6))
    more = f"host=127.0.0.1\nport={proxy.port}\n"
    daemon = replay(lab, tmp, "answer", "PGSQL",
                    pg.options().split("\n", 1)[1] + more, 10_000)
    proxy.close()
    if daemon.code or proxy.cuts != 3 or "connection lost" not in daemon.log():
        yield f"exit code {daemon.code} after {proxy.cuts} cuts: {daemon.words()}"
    yield from once(pg.rows(), 10_000)


def emptied(lab, tmp, pg):
    fresh(pg)
    yield from row_gone(lab, tmp, pg, "PGSQL", pg.options().replace("INSERT_CT", "INSERT"))


def wrong_password(lab, tmp, pg):
    """Refused at the start, in a line that names all but the password."""
    pg.sql(f"DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD '{SECRET}'")
    for name, more, words in (
            ("wrong", f"pass=not-{SECRET}\n", ["database \"nulog\"", pg.dir, "28P01", "locked"]),
            ("long", f"pass={SECRET * 80}\n", ["pass=...", "1000 bytes"]),
            ("string", f'connstring="host={pg.dir} password={SECRET} {SECRET}"\n',
             ["conf:20:", "connstring"])):
        daemon = replay(lab, tmp, name, "PGSQL", pg.options(more, "locked"), 5)
        line = [ln for ln in daemon.words().splitlines() if all(w in ln for w in words)]
        if daemon.code != 1 or not line:
            yield f"{name}: exit code {daemon.code}, no line with {words}: {daemon.words()}"
        if SECRET in daemon.words():
            yield f"{name}: the password is in the log"
    pg.sql("GRANT ALL ON ulog2_ct, ctflowd_progress, ulog2_ct__ct_id_seq TO locked")
    before = pg.count()
    daemon = replay(lab, tmp, "right", "PGSQL", pg.options(f"pass={SECRET}\n", "locked"), 5)
    if daemon.code or pg.count() != before + 5:
        yield f"with the right password exit code {daemon.code}: {daemon.words()}"


def bad_rows(lab, tmp, pg):
    """What a constraint refuses is said and counted, the rest is there."""
    pg.sql(f"DROP TABLE IF EXISTS own; CREATE TABLE own({COLUMNS.replace(',', ' bigint,')} bigint,"
           ' "odd_ip_saddr" int, CHECK (orig_l4_sport NOT BETWEEN 1010 AND 1012),'
           " CHECK (orig_raw_pktlen <> 700));"
           "ALTER TABLE own DROP COLUMN odd_ip_saddr;"
           "ALTER TABLE own ADD UNIQUE (orig_raw_pktlen, orig_l4_sport) DEFERRABLE"
           " INITIALLY DEFERRED; INSERT INTO own VALUES (2500, 528, 0, 0, 0, 0)")
    options = pg.options('table=own\nprocedure="INSERT"\n').replace("table=ulog2_ct\n", "")
    options = options.replace("procedure=INSERT_CT\n", "")
    daemon = replay(lab, tmp, "bad", "PGSQL", options, 3000)
    out = {i for i in range(3000) if 10 <= i <= 12 or (28 + i % 1000) == 700 or i == 1500}
    pg.sql("DELETE FROM own WHERE flow_start_sec = 0")
    if daemon.code or "refused" not in daemon.log() or "own" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    if f"refused={len(out)}" not in daemon.log().replace(" ", "="):
        yield f"{len(out)} refused rows are not in the log: {daemon.log()[-1500:]}"
    yield from once(pg.rows("own"), 3000, out)


def ends_only(lab, tmp, pg):
    """INSERT_OR_REPLACE_CT loses ends without a start, as said; UPSERT_CT does not."""
    fresh(pg)
    for procedure, rows in ("insert_or_replace_ct", 0), ("UPSERT_CT", 500):
        daemon = replay(lab, tmp, procedure, "PGSQL",
                        pg.options().replace("INSERT_CT", procedure), 500)
        said = re.search("conf:\\d+: procedure: .*INSERT_CT loses none.*UPSERT_CT", daemon.log())
        if daemon.code or pg.count() != rows or bool(said) != (rows == 0):
            yield f"{procedure}: {pg.count()} rows, exit code {daemon.code}: {daemon.words()}"
    yield from once(pg.rows(), 500)
    pg.sql("UPDATE ulog2_ct SET ct_event = 1, orig_raw_pktlen = 0, flow_end_sec = 0")
    replay(lab, tmp, "update", "PGSQL", pg.options().replace("INSERT_CT", "UPSERT_CT"), 500)
    yield from once(pg.rows(), 500)


def no_table_of_ours(lab, tmp, pg):
    """A role that may not make a table: said, and flows come all the same."""
    fresh(pg)
    pg.sql("DROP TABLE ctflowd_progress; REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
           "DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN;"
           "GRANT ALL ON ulog2_ct, ulog2_ct__ct_id_seq TO poor")
    daemon = replay(lab, tmp, "poor", "PGSQL", pg.options("", "poor"), 2000)
    if daemon.code or "will be stored again" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(pg.rows(), 2000)


def away_at_first(lab, tmp, pg):
    fresh(pg)
    pg.end(signal.SIGINT)
    yield from away(lab, tmp, pg, "PGSQL", pg.options())


def frozen(lab, tmp, pg):
    fresh(pg)
    more = f'spool_dir="{tmp}/spool"\nspool_sync=0\nqueue=64K\n'
    yield from stopped(lab, tmp, pg, "PGSQL", pg.options(more))


def reloaded(lab, tmp, pg):
    fresh(pg)
    yield from reloads(lab, tmp, pg, "PGSQL", pg.options())


def died(lab, tmp, pg):
    fresh(pg)
    yield from killed(lab, tmp, pg, "PGSQL", pg.options())


def as_ulogd2(lab, tmp, pg):
    """The same rows as ulogd2 stores beside it, of real traffic."""
    fresh(pg)
    pg.sql("CREATE SCHEMA theirs")
    pg.sql("CREATE TABLE theirs.ulog2_ct (LIKE public.ulog2_ct INCLUDING ALL)")
    stack, section = "ct1:NFCT,ip1:IP2STR,pg1:PGSQL", pg.options()
    ours = Daemon(lab, natlab.GATEWAY, tmp, configuration(tmp, [stack], {"pg1": section}))
    ulogd = section.replace("procedure=INSERT_CT", "procedure=INSERT").replace(
        "user=root\n", "user=root\nschema=theirs\npass=\n")
    flows = []

    def made():
        t = traffic.Traffic(lab)
        traffic.standard(t)
        flows.extend(t.manifest())
        until("all flows to end", lambda: scene.all_gone(lab, natlab.GATEWAY), step=0.3)
    natlab.build(lab)
    beside(lab, tmp, natlab, made, ours, ("NFCT", "IP2STR", "PGSQL"), stack,
           f"[ct1]\n[ip1]\n[pg1]\n{ulogd}")
    same = ",".join(c for c in pg.sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'ulog2_ct'::regclass AND attnum > 1"
        " ORDER BY attnum").split() if not c.startswith("flow_start"))
    for a, b, who in (("theirs", "public", "ulogd2"), ("public", "theirs", "ctflowd")):
        only = pg.sql(f"SELECT {same} FROM {a}.ulog2_ct EXCEPT ALL"
                      f" SELECT {same} FROM {b}.ulog2_ct")
        if only:
            yield f"only {who}: {only[:1000]}"
    if pg.count("theirs.ulog2_ct") < len(flows):
        yield f"ulogd2 has stored {pg.count('theirs.ulog2_ct')} of {len(flows)} flows"


def test(lab, tmp):
    problems = []
    with Postgres(tmp) as pg:
        for part in (restarted, lost_answer, emptied, wrong_password, bad_rows, ends_only,
                     no_table_of_ours, away_at_first, frozen, reloaded, died, as_ulogd2):
            began = time.monotonic()
            problems += [f"{part.__name__}: {p}" for p in part(lab, tmp, pg)]
            print(f"{part.__name__}: {time.monotonic() - began:.1f} s")
    return problems


os.environ["PATH"] += ":/usr/sbin"
if not BIN:
    labs.skip("needs postgresql")
if not glob.glob("/usr/lib/*/ulogd/ulogd_output_PGSQL.so"):
    labs.skip("needs ulogd2-pgsql")
scene.main(test)
