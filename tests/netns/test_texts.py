#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""CSV, XML, SYSLOG and lines of one's own, across a rotation and a kill.

All connections are in each of them exactly once and as they were: the first
files are moved away and SIGHUP is sent, then the daemon is killed and another
one started.  Each file of CSV has its header, each of XML is a whole document.
"""
import csv
import glob
import os
import signal
import socket
import sys
import threading
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import compare  # noqa: E402
import formats  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
from daemon import Daemon, configuration, lines, text, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402

KEYS = [f"{d}.{k}" for d in ("orig", "reply") for k in (
    "ip.protocol", "ip.saddr", "l4.sport", "ip.daddr", "l4.dport", "raw.pktcount", "raw.pktlen")
        ] + ["icmp.type", "icmp.code", "icmpv6.type", "icmpv6.code", "ct.mark", "ct.event",
             "flow.start.sec", "flow.start.usec", "flow.end.sec", "flow.end.usec"]
STACKS = ["ct1:NFCT,csv1:CSV", "ct1:NFCT,own1:LOGEMU", "ct1:NFCT,sys1:SYSLOG", "ct1:NFCT,xml1:XML",
          "ct1:NFCT,ip1:IP2STR,nest1:JSON"]


class LogDaemon(threading.Thread):
    """Reads a datagram at a time, as the system's does."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.got = []
        self.start()

    def run(self):
        while True:
            self.got.append(self.socket.recv(65536).decode())


def sections(tmp):
    own = " ".join(f"{k}=%{{{k}}}" for k in KEYS)
    return {"csv1": f'file="{tmp}/csv"\nsync=1\nfields="{",".join(KEYS)}"\n',
            "own1": f'file="{tmp}/own"\nsync=1\nformat="{own}"\n',
            "sys1": f'socket="{tmp}/log.socket"\nident=flows\nformat="{own}"\n',
            "xml1": f'directory="{tmp}/xml"\nsync=1\n',
            "nest1": f'file="{tmp}/nest"\nsync=1\nkeys=nested\n'}


def row(keys):
    keys = {k: v for k, v in keys.items() if v not in ("", "-")}
    return formats.by_keys(keys, *(keys[f"{d}.ip.{a}"] for d in ("orig", "reply")
                                   for a in ("saddr", "daddr")))


def csv_rows(paths):
    for path in paths:
        with open(path, encoding="utf-8", newline="") as f:
            for keys in csv.DictReader(f, strict=True):
                yield row(keys)


def own_rows(texts):
    for line in texts:
        yield row(dict(w.split("=", 1) for w in line.split(" ")))


def side(flow, direction):
    meta = flow.find(f"meta[@direction='{direction}']")

    def number(path):
        return None if meta.find(path) is None else int(meta.find(path).text)
    return (int(meta.find("layer4").get("protonum")), meta.find("layer3/src").text,
            number("layer4/sport"), meta.find("layer3/dst").text, number("layer4/dport"),
            number("counters/packets"), number("counters/bytes"))


def xml_rows(paths):
    for path in paths:
        for flow in xml.etree.ElementTree.parse(path).getroot().iter("flow"):
            there, back = side(flow, "original"), side(flow, "reply")
            mark = flow.find("meta[@direction='independent']/mark")
            yield formats.Row(*there[:5], *back[1:5], *there[5:], *back[5:], None,
                              0 if mark is None else int(mark.text))


def for_xml(_flow, wanted):
    """No times, and nothing about ICMP but its number."""
    return wanted._replace(start=None, end=None, icmp=None)


def send(lab):
    made = traffic.Traffic(lab)
    traffic.standard(made)
    flows = made.manifest()
    until("all flows to end", lambda: scene.all_gone(lab, GATEWAY), step=0.3)
    return flows


def test(lab, tmp):
    natlab.build(lab)
    os.mkdir(f"{tmp}/xml")
    log = LogDaemon(f"{tmp}/log.socket")
    conf = configuration(tmp, STACKS, {"ct1": "event_mask=4\n"} | sections(tmp))
    daemon = Daemon(lab, GATEWAY, tmp, conf).start()
    flows = send(lab)
    first = len(flows)
    until("the first files", lambda: lines(f"{tmp}/csv") == first + 1 ==
          lines(f"{tmp}/own") + 1 == lines(f"{tmp}/nest") + 1)
    for name in ("csv", "own", "nest"):
        os.rename(f"{tmp}/{name}", f"{tmp}/{name}.1")
    daemon.send(signal.SIGHUP)
    until("new files", lambda: all(os.path.exists(f"{tmp}/{n}") for n in ("csv", "own", "nest"))
          and len(os.listdir(f"{tmp}/xml")) == 2)
    flows += send(lab)
    until("the second files", lambda: lines(f"{tmp}/csv") == len(flows) - first + 1 ==
          lines(f"{tmp}/own") + 1 == lines(f"{tmp}/nest") + 1 and len(log.got) == len(flows)
          and sum(text(p).count("</flow>") for p in glob.glob(f"{tmp}/xml/*")) == len(flows))
    daemon.send(signal.SIGKILL)
    daemon.wait()
    daemon.start()
    flows += send(lab)
    daemon.stop()
    until("the log daemon", lambda: len(log.got) >= len(flows))
    return problems(tmp, flows, log)


def problems(tmp, flows, log):
    both = [[f"{tmp}/{n}.1", f"{tmp}/{n}"] for n in ("csv", "own", "nest")]
    check = compare.differences
    found = check("CSV", csv_rows(both[0]), flows)
    found += check("format", own_rows(ln for p in both[1] for ln in text(p).splitlines()), flows)
    found += check("SYSLOG", own_rows(m.split("]: ", 1)[1].rstrip("\n") for m in log.got), flows)
    found += check("XML", xml_rows(sorted(glob.glob(f"{tmp}/xml/*"))), flows, for_xml)
    if sum(map(lines, both[2])) != len(flows):
        found.append(f"JSON: {sum(map(lines, both[2]))} lines")
    if not all(m.startswith("<29>") and " flows[" in m for m in log.got):
        found.append(f"SYSLOG: {log.got[0]!r}")
    if len(os.listdir(f"{tmp}/xml")) != 2:  # the killed one's is gone on with
        found.append(f"XML: {os.listdir(f'{tmp}/xml')}")
    return found


scene.main(test)
