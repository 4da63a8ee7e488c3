# SPDX-License-Identifier: GPL-2.0-or-later
"""nfacctd of pmacct: run, and the rows it prints."""
import collections
import json
import os
import re
import signal

from collectors import ALARM, Overheard
from daemon import text, until

CONFIGURATION = """daemonize: false
nfacctd_ip: 127.0.0.1
nfacctd_port: {port}
plugins: print[a]
aggregate[a]: {keys}
print_output[a]: json
print_output_file[a]: {file}
print_output_file_append[a]: true
print_refresh_time[a]: 1
print_history[a]: 1m
timestamps_secs: false
"""
KEYS = ("src_host, dst_host, src_port, dst_port, proto, timestamp_start, timestamp_end, "
        "post_nat_src_host, post_nat_dst_host, post_nat_src_port, post_nat_dst_port, flows, "
        "nat_event")

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "ipv6-icmp": 58, "udplite": 136}
PORTS = (6, 17, 136)


def sent(flows):
    """Counter of (protocol, from, to, packets, bytes), and of ports where there are such."""
    rows = collections.Counter()
    for f in flows:
        there, back = (f.sport, f.dport), (f.reply_sport, f.reply_dport)
        if f.proto not in PORTS:
            there = back = (0, 0)
        rows[f.proto, f.src, f.dst, *there, f.opkts, f.obytes] += 1
        if f.rpkts:
            rows[f.proto, f.reply_src, f.reply_dst, *back, f.rpkts, f.rbytes] += 1
    return rows


def printed(rows):
    found = collections.Counter()
    for r in rows:
        proto = PROTOCOLS.get(r["ip_proto"]) or int(r["ip_proto"])
        ports = (r["port_src"], r["port_dst"]) if proto in PORTS else (0, 0)
        found[proto, r["ip_src"], r["ip_dst"], *ports, r["packets"], r["bytes"]] += r["flows"]
    return found


class Nfacctd:
    """Over UDP."""

    def __init__(self, lab, ns, port, directory, **rules):
        os.makedirs(directory, exist_ok=True)
        self.file, self.log = f"{directory}/rows", f"{directory}/log"
        Overheard(lab, ns, port, **rules)
        with open(f"{directory}/conf", "w", encoding="ascii") as f:
            f.write(CONFIGURATION.format(port=port, keys=KEYS, file=self.file))
        with open(self.log, "wb") as log:
            self.child = lab.popen(ns, ["nfacctd", "-f", f"{directory}/conf"], stdout=log,
                                   stderr=log)
        until("nfacctd to listen", lambda: "waiting for" in text(self.log))

    def finish(self):
        """Ends it; returns what it complained about."""
        self.child.send_signal(signal.SIGINT)
        self.child.wait(100)
        return [w for w in text(self.log).splitlines()
                if ALARM.search(re.sub(r"^.*?\( *\w+/core *\):", "", w))]

    def rows(self):
        return [json.loads(line) for line in text(self.file).splitlines() if line]
