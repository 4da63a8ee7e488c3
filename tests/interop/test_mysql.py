#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""MYSQL with a real MariaDB: every flow exactly once, whatever the server does.

Restarted while it is filled, its answer to COMMIT lost, a password that is
wrong, rows it refuses, a user who may not make tables; and beside ulogd2.
"""
import glob
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]
os.environ["PATH"] += ":/usr/sbin"

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from databases import (Proxy, away, beside, killed, once, reloads, replay,  # noqa: E402
                       row_gone, stopped)
from mariadb import COLUMNS, MariaDB  # noqa: E402

FLOWS = 100_000
SECRET = "s3cret-of-mysql"
CHAIN = "ip1:IP2BIN,"


def fresh(my):
    """The schema that comes with ctflowd, and nothing in it."""
    my.sql("DROP DATABASE nulog; CREATE DATABASE nulog", db="mysql")
    my.load(f"{ROOT}/etc/mysql.sql")


def restarted(lab, tmp, my):
    """100,000 flows while the server is restarted twice, once without ceremony."""
    fresh(my)

    def during(_):
        for part, number in (5, signal.SIGTERM), (2, signal.SIGKILL):
            until("rows", lambda p=part: my.count() > FLOWS / p, 450, step=0.02)
            my.restart(number)
    began = time.monotonic()
    daemon = replay(lab, tmp, "restarted", "MYSQL", my.options(procedure="INSERT"), FLOWS,
                    CHAIN, during)
    print(f"{FLOWS} flows in {time.monotonic() - began:.1f} s with two restarts")
    if daemon.code or daemon.log().count("works again") < 2:
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(my.rows(), FLOWS)


def lost_answer(lab, tmp, my):
    """COMMIT arrives, its answer does not."""
    fresh(my)
    proxy = Proxy(my.path, cut=(2, 3, 6))
    options = my.options(f"port={proxy.port}\n").replace(my.path, "127.0.0.1")
    daemon = replay(lab, tmp, "answer", "MYSQL", options, 10_000, CHAIN)
    proxy.close()
    if daemon.code or proxy.cuts != 3 or "connection lost" not in daemon.log():
        yield f"exit code {daemon.code} after {proxy.cuts} cuts: {daemon.words()}"
    yield from once(my.rows(), 10_000)


def emptied(lab, tmp, my):
    fresh(my)
    yield from row_gone(lab, tmp, my, "MYSQL", my.options(procedure="INSERT"), CHAIN)


def wrong_password(lab, tmp, my):
    """Refused at the start, in a line that names all but the password."""
    my.sql(f"CREATE USER locked@localhost IDENTIFIED BY '{SECRET}';"
           "GRANT ALL ON nulog.* TO locked@localhost")
    for name, more, words in (
            ("wrong", f"pass=not-{SECRET}\n", ["database \"nulog\"", my.path, "1045", "locked"]),
            ("long", f"pass={SECRET * 80}\n", ["pass=...", "1000 bytes"])):
        daemon = replay(lab, tmp, name, "MYSQL", my.options(more, "locked"), 5, CHAIN)
        line = [ln for ln in daemon.words().splitlines() if all(w in ln for w in words)]
        if daemon.code != 1 or not line:
            yield f"{name}: exit code {daemon.code}, no line with {words}: {daemon.words()}"
        if SECRET in daemon.words():
            yield f"{name}: the password is in the log"
    before = my.count()
    daemon = replay(lab, tmp, "right", "MYSQL", my.options(f"pass={SECRET}\n", "locked"), 5,
                    CHAIN)
    if daemon.code or my.count() != before + 5:
        yield f"with the right password exit code {daemon.code}: {daemon.words()}"


def bad_rows(lab, tmp, my):
    """What is refused is said and counted; the rest is there, in any kind of table."""
    for engine in "InnoDB", "MEMORY":
        my.sql("DROP TABLE IF EXISTS own; CREATE TABLE own(id int AUTO_INCREMENT PRIMARY KEY,"
               f"{COLUMNS.replace(',', ' bigint,')} bigint, orig_ip_saddr_bin varbinary(16),"
               " oob_time_usec varchar(9),"
               " CHECK (orig_l4_sport NOT BETWEEN 1010 AND 1012), CHECK (orig_raw_pktlen <> 700),"
               f" UNIQUE (orig_raw_pktlen, orig_l4_sport)) ENGINE={engine};"
               "ALTER TABLE own DROP COLUMN oob_time_usec;"
               "INSERT INTO own VALUES (0, 2500, 528, 0, 0, 0, 0, NULL)")
        daemon = replay(lab, tmp, engine, "MYSQL", my.options(table="own", procedure="INSERT"),
                        3000, CHAIN)
        out = {i for i in range(3000) if 10 <= i <= 12 or (28 + i % 1000) == 700 or i == 1500}
        my.sql("DELETE FROM own WHERE flow_start_sec = 0")
        if daemon.code or "refused" not in daemon.log() or "own" not in daemon.log():
            yield f"exit code {daemon.code}: {daemon.words()}"
        if f"refused={len(out)}" not in daemon.log():
            yield f"{len(out)} refused rows are not in the log: {daemon.log()[-1500:]}"
        yield from once(my.rows("own"), 3000, out)
        bad = my.sql("SELECT count(*) FROM own WHERE"
                     " hex(orig_ip_saddr_bin) <> '00000000000000000000FFFF0A000001'")
        if bad != "0\n":
            yield f"{bad} addresses are wrong"


def poor_user(lab, tmp, my):
    """A user who may not make a table: said, and flows come all the same; by CALL, too."""
    fresh(my)
    my.sql("DROP TABLE ctflowd_progress; CREATE USER poor@localhost;"
           "GRANT EXECUTE, INSERT, SELECT ON nulog.* TO poor@localhost")
    my.sql(None, stdin=f"""CREATE TABLE own(x int, {COLUMNS.replace(',', ' int,')} int);
DELIMITER $$
CREATE PROCEDURE store(a int, b int, c int, d int, e int, f int) BEGIN
SELECT a; INSERT INTO own VALUES (0, a, b, c, d, e, f); SELECT b, c; END $$
""")
    daemon = replay(lab, tmp, "poor", "MYSQL",
                    my.options(user="poor", table="own", procedure="CALL store"), 2000, CHAIN)
    if daemon.code or "will be stored again" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(my.rows("own"), 2000)


def away_at_first(lab, tmp, my):
    fresh(my)
    my.end(signal.SIGTERM)
    yield from away(lab, tmp, my, "MYSQL", my.options(), CHAIN)


def frozen(lab, tmp, my):
    fresh(my)
    more = f'spool_dir="{tmp}/my-spool"\nspool_sync=0\nqueue=64K\n'
    yield from stopped(lab, tmp, my, "MYSQL", my.options(more), CHAIN)


def reloaded(lab, tmp, my):
    fresh(my)
    yield from reloads(lab, tmp, my, "MYSQL", my.options(), CHAIN)


def died(lab, tmp, my):
    fresh(my)
    yield from killed(lab, tmp, my, "MYSQL", my.options(), CHAIN)


def as_ulogd2(lab, tmp, my):
    """The same rows as ulogd2 stores beside it, of real traffic."""
    fresh(my)
    my.sql("DROP DATABASE IF EXISTS theirs; CREATE DATABASE theirs;"
           "GRANT ALL ON theirs.* TO flows@localhost", db="mysql")
    with open(f"{ROOT}/etc/mysql.sql", encoding="utf-8") as f:
        my.sql(None, db="theirs", stdin=f.read())
    stack, section = "ct1:NFCT,ip1:IP2BIN,my1:MYSQL", my.options()
    ours = Daemon(lab, natlab.GATEWAY, tmp, configuration(tmp, [stack], {"my1": section}))
    ulogd = section.replace("db=nulog", "db=theirs").replace(my.path, "localhost")
    flows = []

    def made():
        t = traffic.Traffic(lab)
        traffic.standard(t)
        flows.extend(t.manifest())
        until("all flows to end", lambda: scene.all_gone(lab, natlab.GATEWAY), step=0.3)
    natlab.build(lab)
    os.environ["MYSQL_UNIX_PORT"] = my.path
    beside(lab, tmp, natlab, made, ours, ("NFCT", "IP2BIN", "MYSQL"), stack,
           f"[ct1]\n[ip1]\n[my1]\n{ulogd}")
    same = ",".join(f"hex({c})" if c.endswith("_bin") else c for c in my.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'conntrack'"
        " AND table_schema = 'nulog' ORDER BY ordinal_position").split()[1:]
        if not c.startswith("flow_start") and c != "reply_ip_daddr_bin")  # its IP2BIN lacks it
    for a, b, who in (("theirs", "nulog", "ulogd2"), ("nulog", "theirs", "ctflowd")):
        only = my.sql(f"SELECT {same} FROM {a}.conntrack EXCEPT ALL"
                      f" SELECT {same} FROM {b}.conntrack")
        if only:
            yield f"only {who}: {only[:1000]}"
    if my.count("theirs.ulog2_ct") < len(flows):
        yield f"ulogd2 has stored {my.count('theirs.ulog2_ct')} of {len(flows)} flows"


def test(lab, tmp):
    problems = []
    with MariaDB(tmp) as my:
        for part in (restarted, lost_answer, emptied, wrong_password, bad_rows, poor_user,
                     away_at_first, frozen, reloaded, died, as_ulogd2):
            began = time.monotonic()
            problems += [f"{part.__name__}: {p}" for p in part(lab, tmp, my)]
            print(f"{part.__name__}: {time.monotonic() - began:.1f} s")
    return problems


if not shutil.which("mariadbd") or not shutil.which("mariadb"):
    labs.skip("needs mariadb-server")
if not glob.glob("/usr/lib/*/ulogd/ulogd_output_MYSQL.so"):
    labs.skip("needs ulogd2-mysql")
scene.main(test)
