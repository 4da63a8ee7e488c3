#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes a flow: in messages, in files and on disk in each engine; and how fast.

A recording of flows as behind a NAT gateway (gateway_pcap) is replayed through
the whole daemon into each output, which stores all of them.  IPFIX is counted as
messages, which TCP, IP and Ethernet add some 4 % to.  Engines are asked, or
their files are looked at, when all is stored and nothing is left to merge.
"""
import argparse
import glob
import os
import resource
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "interop"), os.path.join(HERE, "..", "netns")]

from daemon import until  # noqa: E402
from databases import Server  # noqa: E402

CONF = """[global]
logfile="stderr"
loglevel=7
state_dir="{tmp}/state"
stop_timeout={stop}
stack="in1:REPLAY,{stack}"
[in1]
file="{tmp}/flows.pcap"
[out]
{options}"""
IPFIX = "oid=1\nproto=file\nfile={tmp}/out\n"
NOBODY = "oid=1\nproto=tcp\nhost=127.0.0.1\nport=1\nspool_dir={tmp}/spool\nqueue=1M\n"
NAT_LOG = "nat_events=yes\nflows=no\n"
# name: stack, options, the file or folder that is measured
FILES = {
    "IPFIX": ("out:IPFIX", IPFIX, "out"),
    "IPFIX, pen=": ("out:IPFIX", IPFIX + "pen=32473\n", "out"),
    "IPFIX, NAT log, ends": ("out:IPFIX", IPFIX + NAT_LOG, "out"),
    "IPFIX, uniflow": ("out:IPFIX", IPFIX + "uniflow=yes\n", "out"),
    "spool of IPFIX": ("out:IPFIX", NOBODY, "spool"),
    "JSON": ("ip:IP2STR,out:JSON", 'mode=file\nfile="{tmp}/out"\n', "out"),
    "LOGEMU": ("ip:IP2STR,pf:PRINTFLOW,out:LOGEMU", 'file="{tmp}/out"\n', "out"),
    "SQLITE3": ("out:SQLITE3", 'db="{tmp}/out"\ntable=flows\n', "out"),
    "SQLITE3, profile=nat": ("out:SQLITE3", 'db="{tmp}/out"\ntable=flows\nprofile=nat\n', "out"),
}


class Postgres(Server):
    bin = (sorted(glob.glob("/usr/lib/postgresql/*/bin")) or [""])[-1]
    stack, name = "ip:IP2STR,out:PGSQL", "PGSQL, etc/pgsql.sql"

    def __init__(self, tmp):
        super().__init__(tmp, "pg", "postgres")
        self.call(f"{self.bin}/initdb", "-D", f"{self.dir}/data", "-U", "root", "-A", "trust")
        self.begin(f"{self.bin}/postgres", "-D", f"{self.dir}/data", "-k", self.dir, "-h", "")
        until("PostgreSQL", lambda: os.system(f"{self.bin}/pg_isready -q -h {self.dir}") == 0)
        self.sql("CREATE DATABASE nulog", "postgres")
        with open(f"{HERE}/../../etc/pgsql.sql", encoding="utf-8") as f:
            self.sql(f.read())
        self.options = f'host="{self.dir}"\ndb=nulog\nuser=root\ntable=ulog2_ct\nprocedure=INSERT\n'

    def sql(self, words, db="nulog"):
        return self.call(f"{self.bin}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "root", "-h",
                         self.dir, "-d", db, "-c", words)

    def size(self):
        return (int(self.sql("SELECT count(*) FROM ulog2_ct")),
                int(self.sql("SELECT pg_total_relation_size('ulog2_ct')")))


class MariaDB(Server):
    stack, name = "ip:IP2BIN,out:MYSQL", "MYSQL, etc/mysql.sql"

    def __init__(self, tmp):
        super().__init__(tmp, "my", "mysql")
        self.call("mariadb-install-db", "--no-defaults", f"--datadir={self.dir}/data",
                  "--auth-root-authentication-method=normal", "--skip-test-db")
        self.begin("mariadbd", "--no-defaults", f"--datadir={self.dir}/data",
                   f"--socket={self.dir}/socket", "--skip-networking",
                   "--innodb-flush-log-at-trx-commit=2")
        until("MariaDB", lambda: os.path.exists(f"{self.dir}/socket"))
        self.sql("CREATE DATABASE nulog; CREATE USER flows@localhost; "
                 "GRANT ALL ON nulog.* TO flows@localhost", "mysql")
        with open(f"{HERE}/../../etc/mysql.sql", encoding="utf-8") as f:
            self.sql(f.read())
        self.options = f'host="{self.dir}/socket"\ndb=nulog\nuser=flows\npass=""\ntable=conntrack\n' \
            "procedure=INSERT\n"

    def sql(self, words, db="nulog"):
        return self.call("mariadb", "--no-defaults", "-u", "root", "-S", f"{self.dir}/socket",
                         "-BN", db, input=words)

    def size(self):
        return (int(self.sql("SELECT count(*) FROM conntrack")),
                folder(f"{self.dir}/data/nulog"))


class ClickHouse:
    stack, name = "out:CLICKHOUSE", "CLICKHOUSE"

    def __init__(self, tmp):
        from clickhouse import Clickhouse  # pylint: disable=import-outside-toplevel
        self.server = Clickhouse(tmp)
        self.options = self.server.options("exporter=gw1\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.__exit__()

    def parts(self, tables):
        return self.server.number("SELECT sum(bytes_on_disk) FROM system.parts WHERE active "
                                  f"AND database = 'ctflow' AND {tables}")

    def size(self):
        for table in self.server.sql("SELECT name FROM system.tables WHERE database = 'ctflow' "
                                     "AND engine LIKE '%MergeTree'").split():
            self.server.sql(f"OPTIMIZE TABLE ctflow.`{table}` FINAL")
        print(f"{'':24}{self.parts('table = ' + chr(39) + 'flows_raw' + chr(39))} bytes of "
              "them flows_raw, the rest its orders by source and destination")
        return self.server.count("flows_raw FINAL"), self.parts("1")


def folder(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs)


def usage():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def replay(args, tmp, stack, options):
    """Flows a second and microseconds of CPU a flow."""
    with open(f"{tmp}/conf", "w", encoding="ascii") as f:
        f.write(CONF.format(tmp=tmp, stack=stack, stop=1 if "spool" in options else 300, options=options.format(tmp=tmp)))
    cpu, wall = usage(), time.monotonic()
    done = subprocess.run([f"{args.build}/ctflowd", "-c", f"{tmp}/conf"], text=True,
                          capture_output=True, cwd=args.build, check=False,
                          env=os.environ | {"TZ": "UTC"})
    wall, cpu = time.monotonic() - wall, usage() - cpu
    if done.returncode:
        raise RuntimeError(done.stderr)
    return args.flows / wall, cpu / args.flows * 1e6


def line(name, args, size, speed):
    print(f"{name:24}{size / args.flows:8.1f}{speed[0]:10.0f}{speed[1]:8.2f}", flush=True)


def measure_files(args, tmp):
    for name, (stack, options, where) in FILES.items():
        if args.only and args.only not in name:
            continue
        speed = replay(args, tmp, stack, options)
        line(name, args, folder(f"{tmp}/{where}"), speed)
        subprocess.run(["rm", "-rf", *glob.glob(f"{tmp}/out*"), f"{tmp}/spool", f"{tmp}/state"],
                       check=True)


def measure_servers(args, tmp):
    for kind in (Postgres, MariaDB, ClickHouse):
        if args.only and args.only not in kind.name:
            continue
        with kind(tmp) as server:
            speed = replay(args, tmp, server.stack, server.options.replace("{", "{{"))
            count, size = server.size()
            if count != args.flows:
                raise RuntimeError(f"{kind.name}: {count} rows, not {args.flows}")
            line(kind.name, args, size, speed)


def main():
    p = argparse.ArgumentParser(prog="sizes.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=".", help="build tree (a release build)")
    p.add_argument("-n", "--flows", type=int, default=1000000)
    p.add_argument("--hosts", type=int, default=1000)
    p.add_argument("--rate", type=int, default=12000, help="flows a second of the recording")
    p.add_argument("--only", help="outputs that have this in their name")
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    with tempfile.TemporaryDirectory(prefix="ctl-sizes-") as tmp:
        os.chmod(tmp, 0o755)
        subprocess.run([f"{args.build}/tests/bench/gateway_pcap", f"{tmp}/flows.pcap",
                        str(args.flows), str(args.hosts), str(args.rate)], check=True)
        print(f"{args.flows} flows{'':10}{'B/flow':>8}{'flows/s':>10}{'us CPU':>8}")
        measure_files(args, tmp)
        measure_servers(args, tmp)


main()
