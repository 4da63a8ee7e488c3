#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflowd --split, and how a configuration with stacks for packets runs."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

import recording  # noqa: E402
from calls import Suite, call, expect  # noqa: E402
from daemon import text  # noqa: E402

suite = Suite()
THERE = "/usr/lib/x86_64-linux-gnu/ulogd/ulogd_"
OLD = """# a gateway
[global]
logfile="{dir}/log"
plugin="{there}inppkt_NFLOG.so"
plugin="{there}inpflow_NFCT.so"
plugin="{there}raw2packet_BASE.so"
plugin="{there}filter_IP2STR.so"
plugin="{there}output_LOGEMU.so"
stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU
stack="r1:REPLAY,ip2str1:IP2STR,print2:PRINTFLOW,emu1:LOGEMU"
stack=r1:REPLAY,ip2str1:IP2STR,gp1:GPRINT # all fields
stack=acct:NFACCT,graph:GRAPHITE
stack=r1:REPLAY,js1:JSON
stack=r1:REPLAY,odd1:PRINTSNI,emu1:LOGEMU

# packets
[log1]
group=1
[r1]
file="{dir}/events.pcap"
[emu1]
file="{dir}/both"
[gp1]
file="{dir}/gprint"
device=old
[js1]
mode=pigeon
[spare]
key=1
[acct]
pollinterval=3"""


def old(tmp):
    recording.write(f"{tmp}/events.pcap", 5)
    with open(f"{tmp}/ulogd.conf", "w", encoding="utf-8") as f:
        f.write(OLD.format(dir=tmp, there=THERE))
    os.chmod(f"{tmp}/ulogd.conf", 0o640)
    return f"{tmp}/ulogd.conf"


def rows(path):
    """{number: line}, of the lines that are not the other file's."""
    return {i: ln for i, ln in enumerate(text(path).split("\n")[:-1], 1)
            if not ln.startswith("# in ")}


@suite
def lines_keep_their_numbers(tmp):
    path = old(tmp)
    before = dict(enumerate(text(path).split("\n"), 1))
    done = call("--split", path, f"{tmp}/new")
    expect(done.code == 0, done.words)
    flows, packets = (rows(f"{tmp}/new/{n}") for n in ("ctflowd.conf", "ulogd.conf"))
    for got in (flows, packets):
        expect(all(before[i] == ln for i, ln in got.items()), "changed lines", got)
    only_flows = {10, 11, 13, 19, 20, 23, 24, 25, 26, 27}
    only_packets = {4, 6, 9, 12, 14, 17, 18, 30, 31}
    expect(set(before) - set(packets) == only_flows - {19, 20}, "not in ulogd.conf:",
           sorted(set(before) - set(packets)))
    expect(set(before) - set(flows) == only_packets, "not in ctflowd.conf:",
           sorted(set(before) - set(flows)))
    for name in ("ctflowd.conf", "ulogd.conf"):
        full = text(f"{tmp}/new/{name}")
        expect(full.count("\n") == len(before) and full.endswith("\n"), name)
        expect(os.stat(f"{tmp}/new/{name}").st_mode & 0o777 == 0o640, "mode of", name)


@suite
def report_says_what_happens(tmp):
    path = old(tmp)
    done = call("--split", path, f"{tmp}/new")
    expect(done.code == 0 and done.out == text(f"{tmp}/new/split.txt"), done.words)
    expect(done.out == f"""{path}: 3 stacks for {tmp}/new/ctflowd.conf, 3 for {tmp}/new/ulogd.conf

runs as before:
  {path}:10: r1:REPLAY,ip2str1:IP2STR,print2:PRINTFLOW,emu1:LOGEMU

runs, but:
  {path}:11: r1:REPLAY,ip2str1:IP2STR,gp1:GPRINT
    {path}:25: unknown key "device" ignored

refused until it is mended:
  {path}:13: r1:REPLAY,js1:JSON
    {path}:27: mode=pigeon: no such choice (expected: file|tcp|udp|unix|stdout)
    {path}:13: stack 'r1:REPLAY,js1:JSON' is refused

for ulogd2:
  {path}:9: log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip2str1:IP2STR,print1:PRINTPKT,emu1:LOGEMU
    NFLOG reads packets
  {path}:12: acct:NFACCT,graph:GRAPHITE
    NFACCT reads the counters of iptables' nfacct
  {path}:14: r1:REPLAY,odd1:PRINTSNI,emu1:LOGEMU
    ctflowd has no plugin PRINTSNI

written by both, give one of them another name:
  {path}:3: logfile={tmp}/log
  {path}:22: file={tmp}/both
""", "other words:", done.out)


@suite
def its_file_runs(tmp):
    expect(call("--split", old(tmp), f"{tmp}/new").code == 0, "not divided")
    done = call("-c", f"{tmp}/new/ctflowd.conf")
    expect(done.code == 0 and text(f"{tmp}/both").count("\n") == 5
           and text(f"{tmp}/gprint").count("\n") == 5, done.words, text(f"{tmp}/log"))


@suite
def stacks_for_packets_are_left_out(tmp):
    path = old(tmp)
    done = call("-n", "-c", path)
    said = [w for w in done.err.splitlines() if "left out" in w]
    expect(len(said) == 2 and f"{path}:9: stack 'log1:NFLOG," in said[0]
           and "NFLOG reads packets, and ctflowd logs flows" in said[0]
           and f"{path}:12: stack 'acct:" in said[1], done.words)
    expect("BASE" not in done.err.replace(said[0], "") and "log1" not in
           done.err.replace(said[0], ""), "more than a line:", done.err)
    done = call("-c", path)
    expect(done.code == 0 and text(f"{tmp}/both").count("\n") == 5, done.words)


@suite
def nothing_is_overwritten(tmp):
    path = old(tmp)
    done = call("--split", path, tmp)
    expect(done.code == 1 and f"{tmp}/ulogd.conf: File exists" in done.err, done.words)
    expect(text(path) == OLD.format(dir=tmp, there=THERE), "the old file is another")
    done = call("--split", path, tmp)
    expect(done.code == 1 and f"{tmp}/ctflowd.conf: File exists" in done.err, done.words)


@suite
def what_cannot_be_divided(tmp):
    done = call("--split", f"{tmp}/none", f"{tmp}/new")
    expect(done.code == 1 and "No such file" in done.err, done.words)
    done = call("--split", f"{tmp}/none")
    expect(done.code == 1 and "folder to write to is missing" in done.err, done.words)
    with open(f"{tmp}/empty", "w", encoding="ascii") as f:
        f.write("[global]\n")
    done = call("--split", f"{tmp}/empty", f"{tmp}/new")
    expect(done.code == 1 and "no stack to divide" in done.err, done.words)


suite.run()
