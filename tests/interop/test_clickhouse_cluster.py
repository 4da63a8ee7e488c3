#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""cluster= with three real servers and a ZooKeeper: two shards, one of them twice.

The server that is fed is killed meanwhile, and the next takes over: every flow exactly
once, in the tables by source and destination as well.  Then flows that live, on the
tables of the cluster, as SQLite has them.  Part of `make soak`; needs zookeeper.
"""
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import lab as labs  # noqa: E402
import scene  # noqa: E402
import test_fleet_clickhouse as fleet  # noqa: E402
from clickhouse import BIN, Clickhouse, free_ports  # noqa: E402
from daemon import until  # noqa: E402
from databases import replay  # noqa: E402

FLOWS, SERVERS = 50_000, 3
JARS = "/usr/share/java"
CLUSTER = """<farm><shard><internal_replication>true</internal_replication>
{0}{1}</shard><shard><internal_replication>true</internal_replication>{2}</shard></farm>"""
MORE = """<zookeeper><node><host>127.0.0.1</host><port>{keeper}</port></node></zookeeper>
<macros><shard>{shard}</shard><replica>r{i}</replica></macros>
<interserver_http_port>{own}</interserver_http_port>
<interserver_http_host>127.0.0.1</interserver_http_host>
<distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>"""


def keeper(tmp, port):
    with open(f"{tmp}/zoo.cfg", "w", encoding="ascii") as f:
        f.write(f"tickTime=2000\ndataDir={tmp}/keeper\nclientPort={port}\n"
                "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
    with open(f"{tmp}/keeper.log", "wb") as out:
        child = subprocess.Popen(  # pylint: disable=consider-using-with
            ["java", "-Xmx200m", "-cp", f"{JARS}/*",
             "org.apache.zookeeper.server.quorum.QuorumPeerMain", f"{tmp}/zoo.cfg"],
            stdout=out, stderr=out)

    def is_up():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0
    until("ZooKeeper", is_up, 300, step=0.2)
    return child


def cluster(tmp, port):
    tcp, own = free_ports(SERVERS), free_ports(SERVERS)
    replicas = [f"<replica><host>127.0.0.1</host><port>{p}</port></replica>" for p in tcp]
    return [Clickhouse(tmp, f"server{i}", clusters=CLUSTER.format(*replicas), tcp=tcp[i],
                       more=MORE.format(keeper=port, shard=1 + i // 2, i=i, own=own[i]))
            for i in range(SERVERS)]


def stored(server):
    try:
        return server.count("flows_raw")
    except Exception:  # pylint: disable=broad-except
        return 0


def once(server):
    for what, table in (("count()", "flows_raw FINAL"), ("count()", "flows"),
                        ("uniqExact(src, at_ns, outer, outer_port)", "flows_src"),
                        ("uniqExact(dst, at_ns, outer, outer_port)", "flows_dst")):
        n = server.number(f"SELECT {what} FROM ctflow.{table}")
        if n != FLOWS:
            yield f"{what} of {table} is {n}"


def fed(lab, tmp, servers):
    def during(_):
        until("rows", lambda: stored(servers[2]) > FLOWS / 10, 450, step=0.02)
        servers[0].kill()
    hosts = ", ".join(f"127.0.0.1:{s.port}" for s in servers[:2])
    daemon = replay(lab, tmp, "fed", "CLICKHOUSE", f'host="{hosts}"\ncreate=yes\ncluster=farm\n'
                    "batch_rows=5000\n", FLOWS, "", during)
    if daemon.code or "takes over" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    for server in servers[1:]:
        yield from once(server)
    servers[0].start()
    until("the replica", lambda: servers[0].count("flows_raw_local FINAL") ==
          servers[1].count("flows_raw_local FINAL"), 300, step=0.5)
    yield from once(servers[0])


def lived(lab, tmp, server):
    gateway = fleet.Gateway(lab, tmp, server, 2)
    gateway.talk(7)
    gateway.daemon.start()
    gateway.flood(tmp)
    fleet.is_open(gateway, range(fleet.LONG), 7)
    fleet.killed(gateway)
    fleet.is_open(gateway, range(1, fleet.LONG), 7)
    lab.run(gateway.name, "conntrack", "-F")
    until("all ends", lambda: len(gateway.theirs("id", "flows")) >= gateway.short + fleet.LONG,
          60, step=0.3)
    gateway.daemon.stop()
    yield from gateway.differs("flows")
    yield from gateway.differs("open_flows")


def test(lab, tmp):
    port = free_ports(1)[0]
    child, servers = keeper(tmp, port), []
    try:
        servers = cluster(tmp, port)
        began = time.monotonic()
        problems = [*fed(lab, tmp, servers), *lived(lab, tmp, servers[1])]
        print(f"{time.monotonic() - began:.1f} s")
        return problems
    finally:
        for s in servers:
            s.__exit__()
        child.kill()
        child.wait()


if not os.access(BIN, os.X_OK) or not os.path.exists(f"{JARS}/zookeeper.jar"):
    labs.skip("needs clickhouse-server and zookeeper")
scene.main(test)
