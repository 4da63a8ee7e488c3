#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How many flows a second the whole daemon stores in ClickHouse, against a bare client.

A recording of flows as behind a NAT gateway is replayed into a server on this machine,
from the first byte read until the daemon has ended.  Then a loop that does nothing but
POST the same rows, kept in memory, in inserts of the same size stores them in an equal
database.  Both in turns; the medians count.
"""
import argparse
import http.client
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "interop"), os.path.join(HERE, "..", "netns")]

import recording  # noqa: E402
from clickhouse import Clickhouse  # noqa: E402

MARK_RATE, MARK_RATIO = 300000, 0.70  # one of them is to be met
BATCH = 100000
CONF = """[global]
logfile="stderr"
stack="in1:REPLAY,ch1:CLICKHOUSE"
[in1]
file="{pcap}"
[ch1]
{options}
"""


def arguments():
    p = argparse.ArgumentParser(prog="clickhouse.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=".", help="build tree (a release build)")
    p.add_argument("-n", "--flows", type=int, default=2000000)
    p.add_argument("-r", "--rounds", type=int, default=5)
    p.add_argument("--hosts", type=int, default=1000)
    p.add_argument("-o", "--option", action="append", default=[], metavar="NAME=VALUE",
                   help="more options of the output")
    return p.parse_args()


def usage():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def server_cpu(ch):
    with open(f"/proc/{ch.child.pid}/stat", encoding="ascii") as f:
        part = f.read().rsplit(")", 1)[1].split()
    return (int(part[11]) + int(part[12])) / os.sysconf("SC_CLK_TCK")


def quiet(ch):
    """No merges go on."""
    while ch.number("SELECT count() FROM system.merges"):
        time.sleep(0.2)


def empty(ch):
    """The tables are there; whose making is not measured."""
    for table in "flows_raw", "`.inner.flows_src`", "`.inner.flows_dst`":
        ch.sql(f"TRUNCATE TABLE ctflow.{table}")
    quiet(ch)


def made(args, tmp, ch):
    """A daemon makes them."""
    with open(f"{tmp}/first", "w", encoding="ascii") as f:
        f.write(CONF.format(pcap=recording.write(f"{tmp}/first.pcap", 1), options=ch.options()))
    subprocess.run([f"{args.build}/ctflowd", "-c", f"{tmp}/first"], check=True,
                   stderr=subprocess.DEVNULL)


def daemon(args, tmp, ch):
    """Seconds of the clock and of the CPU."""
    empty(ch)
    with open(f"{tmp}/conf", "w", encoding="ascii") as f:
        f.write(CONF.format(pcap=f"{tmp}/flows.pcap",
                            options=ch.options("\n".join(args.option))))
    cpu, wall = usage(), time.monotonic()
    child = subprocess.run([f"{args.build}/ctflowd", "-c", f"{tmp}/conf"], check=False,
                           stderr=subprocess.PIPE, text=True)
    wall = time.monotonic() - wall
    if child.returncode:
        raise RuntimeError(child.stderr)
    n = ch.count()
    if n != args.flows:
        raise RuntimeError(f"{n} flows, not {args.flows}")
    return wall, usage() - cpu


def batches(args, ch):
    """What the daemon sent, as RowBinary in pieces of one insert; and the columns."""
    columns = ch.sql("SELECT groupArray(name) FROM system.columns WHERE database = 'ctflow'"
                     " AND table = 'flows_raw'").strip("[]\n").replace("'", "")
    client, parts = http.client.HTTPConnection(ch.address, ch.port), []
    for at in range(0, args.flows, BATCH):
        client.request("POST", "/", f"SELECT {columns} FROM ctflow.flows_raw ORDER BY at_ns LIMIT"
                       f" {at}, {BATCH} FORMAT RowBinary")
        parts.append(client.getresponse().read())
    return columns, parts


def bare(args, ch, columns, parts):
    """The same tables, emptied."""
    empty(ch)
    query = urllib.parse.quote(f"INSERT INTO ctflow.flows_raw ({columns}) FORMAT RowBinary")
    client, wall = http.client.HTTPConnection(ch.address, ch.port), time.monotonic()
    for part in parts:
        client.request("POST", f"/?query={query}", part)
        answer = client.getresponse()
        words = answer.read()
        if answer.status != 200:
            raise RuntimeError(words.decode())
    wall = time.monotonic() - wall
    if ch.count() != args.flows:
        raise RuntimeError(f"the bare client stored {ch.count()} flows")
    return wall


def main():
    args, rates, ratios, parts = arguments(), [], [], None
    os.environ["PATH"] += ":/usr/sbin"
    with tempfile.TemporaryDirectory(prefix="ctl-bench-") as tmp, Clickhouse(tmp) as ch:
        subprocess.run([f"{args.build}/tests/bench/gateway_pcap", f"{tmp}/flows.pcap",
                        str(args.flows), str(args.hosts), "250000"], check=True)
        made(args, tmp, ch)
        print(f"{'':8}{'flows/s':>10}{'us CPU':>8}{'server':>8}{'bare/s':>10}{'server':>8}"
              f"{'ratio':>7}")
        for i in range(args.rounds):
            before = server_cpu(ch)
            wall, cpu = daemon(args, tmp, ch)
            between = server_cpu(ch)
            columns, parts = batches(args, ch) if parts is None else (columns, parts)
            start = server_cpu(ch)
            bare_wall = bare(args, ch, columns, parts)
            rates.append(args.flows / wall)
            ratios.append(bare_wall / wall)
            print(f"round {i:<2}{rates[-1]:10.0f}{cpu / args.flows * 1e6:8.2f}"
                  f"{(between - before) / args.flows * 1e6:8.2f}{args.flows / bare_wall:10.0f}"
                  f"{(server_cpu(ch) - start) / args.flows * 1e6:8.2f}{ratios[-1]:7.2f}",
                  flush=True)
        size = ch.number("SELECT sum(bytes) FROM system.parts WHERE active AND database = 'ctflow'")
    rate, ratio = statistics.median(rates), statistics.median(ratios)
    good = rate >= MARK_RATE or ratio >= MARK_RATIO
    print(f"{rate:.0f} flows/s, mark {MARK_RATE}; or {ratio:.2f} of the bare client, mark "
          f"{MARK_RATIO}; {size / args.flows:.0f} bytes a flow on disk: "
          f"{'pass' if good else 'FAIL'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
