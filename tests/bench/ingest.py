#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many flows a second the whole daemon stores, against a bare insert loop.

A recording of flows as behind a NAT gateway is replayed into a database of our
own, from the first byte read until the daemon has ended; then a loop that does
nothing but bind and step a prepared INSERT stores the same rows (insertloop.c).
Both in turns, on the same disk; the medians count.
"""
import argparse
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

MARK_RATE, MARK_RATIO = 250000, 0.70  # one of them is to be met
MARK_MIB = 256  # of memory, however many flows
CONF = """[global]
logfile="stderr"
stack="in1:REPLAY,db1:SQLITE3"
[in1]
file="{pcap}"
[db1]
db="{db}"
table=flows
{more}
"""


def arguments():
    p = argparse.ArgumentParser(prog="ingest.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=".", help="build tree (a release build)")
    p.add_argument("-n", "--flows", type=int, default=1000000)
    p.add_argument("-r", "--rounds", type=int, default=5)
    p.add_argument("--hosts", type=int, default=1000)
    p.add_argument("--rate", type=int, default=250000, help="flows a second of the recording")
    p.add_argument("-o", "--option", action="append", default=[], metavar="NAME=VALUE",
                   help="more options of the output")
    return p.parse_args()


def usage():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def remove(path):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)


def answer(db, sql):
    with sqlite3.connect(db) as con:
        return con.execute(sql).fetchone()[0]


def check(args, db):
    """All of them are there, and in the sums."""
    want = {"SELECT count(*) FROM flows": args.flows}
    if not any("profile=nat" in o for o in args.option):
        want["SELECT sum(flows) FROM flows_minute"] = args.flows
    for sql, n in want.items():
        got = answer(db, sql)
        if got != n:
            raise RuntimeError(f"{sql}: {got}, not {n}")


def daemon(args, tmp, env):
    """Seconds of the clock and of the CPU, KiB of memory, and the database."""
    db, conf = f"{tmp}/flows.db", f"{tmp}/conf"
    remove(db)
    with open(conf, "w", encoding="ascii") as f:
        f.write(CONF.format(pcap=f"{tmp}/flows.pcap", db=db, more="\n".join(args.option)))
    cpu, wall = usage(), time.monotonic()
    child = subprocess.Popen([f"{args.build}/ctflowd", "-c", conf], env=env,
                             stderr=subprocess.PIPE)
    words = child.stderr.read()
    _, status, rusage = os.wait4(child.pid, 0)
    child.returncode = status
    wall = time.monotonic() - wall
    if status:
        raise RuntimeError(words.decode())
    return wall, usage() - cpu, rusage.ru_maxrss, db


def bare(args, tmp, db):
    to = f"{tmp}/bare.db"
    remove(to)
    out = subprocess.run([f"{args.build}/tests/bench/insertloop", db, to], check=True,
                         stdout=subprocess.PIPE, text=True).stdout.split()
    if int(out[0]) != args.flows:
        raise RuntimeError(f"{out[0]} rows, not {args.flows}")
    return float(out[1]), float(out[2])


def main():
    args = arguments()
    env = dict(os.environ, TZ="UTC")
    rates, ratios, kib = [], [], 0
    with tempfile.TemporaryDirectory(prefix="ctl-ingest-") as tmp:
        subprocess.run([f"{args.build}/tests/bench/gateway_pcap", f"{tmp}/flows.pcap",
                        str(args.flows), str(args.hosts), str(args.rate)], check=True)
        print(f"{'':8}{'flows/s':>10}{'us CPU':>8}{'MiB':>6}{'bare/s':>10}{'us CPU':>8}"
              f"{'ratio':>7}")
        for i in range(args.rounds):
            os.sync()
            wall, cpu, rss, db = daemon(args, tmp, env)
            check(args, db)
            os.sync()
            bare_wall, bare_cpu = bare(args, tmp, db)
            rates.append(args.flows / wall)
            ratios.append(bare_wall / wall)
            kib = max(kib, rss)
            print(f"round {i:<2}{rates[-1]:10.0f}{cpu / args.flows * 1e6:8.2f}{rss >> 10:6}"
                  f"{args.flows / bare_wall:10.0f}{bare_cpu / args.flows * 1e6:8.2f}"
                  f"{ratios[-1]:7.2f}", flush=True)
    rate, ratio = statistics.median(rates), statistics.median(ratios)
    good = (rate >= MARK_RATE or ratio >= MARK_RATIO) and kib >> 10 <= MARK_MIB
    print(f"{rate:.0f} flows/s, mark {MARK_RATE}; or {ratio:.2f} of the bare loop, mark "
          f"{MARK_RATIO}; {kib >> 10} MiB, mark {MARK_MIB}: {'pass' if good else 'FAIL'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
