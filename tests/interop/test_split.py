#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""One ulogd.conf with flows and packets, divided: both daemons side by side.

ulogd2 logs each packet once, ctflowd each flow once, and neither what is the
other's.
"""
import collections
import os
import re
import shutil
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

import lab as labs  # noqa: E402
import scene  # noqa: E402
import ulogd2  # noqa: E402
from calls import call  # noqa: E402
from daemon import Daemon, Failed, text, until  # noqa: E402

NS = "split"
FLOWS, PACKETS = 60, 3  # packets of each flow
PORT = 20000
RULES = "table ip ctl { chain out { type filter hook output priority 0; " \
    "udp dport 9 log prefix \"out\" group 7; }; }"


def configuration(tmp):
    out = f'[global]\nlogfile="{tmp}/ulogd.log"\nloglevel=3\n'
    out += "".join(f'plugin="{m}"\n' for m in ulogd2.MODULES if re.search(
        "NFLOG|BASE|IFINDEX|PRINTPKT|NFCT|IP2STR|PRINTFLOW|LOGEMU", m))
    return out + f"""stack=log1:NFLOG,base1:BASE,ifi1:IFINDEX,ip1:IP2STR,pkt1:PRINTPKT,emu1:LOGEMU
stack=ct1:NFCT,ip1:IP2STR,pf1:PRINTFLOW,emu2:LOGEMU
[log1]
group=7
[ct1]
event_mask=4
hash_enable=0
[emu1]
file="{tmp}/packets"
sync=1
[emu2]
file="{tmp}/flows"
sync=1
"""


def ports(path):
    return collections.Counter(int(m) for m in re.findall(r"SPT=(\d+) DPT=9\b", text(path)))


def send(lab):
    for i in range(FLOWS):
        with lab.socket(NS, socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("10.66.0.1", PORT + i))
            s.connect(("10.66.9.9", 9))
            for _ in range(PACKETS):
                s.send(b"x")


def test(lab, tmp):
    labs.flood_ns(lab, NS)
    lab.nft(NS, RULES)
    lab.sysctl(NS, udp_timeout=1, udp_timeout_stream=1)
    with open(f"{tmp}/old.conf", "w", encoding="utf-8") as f:
        f.write(configuration(tmp))
    done = call("--split", f"{tmp}/old.conf", f"{tmp}/new")
    if done.code:
        raise Failed(done.words)
    ulogd = lab.popen(NS, [shutil.which("ulogd"), "-c", f"{tmp}/new/ulogd.conf"])
    until("ulogd2", lambda: "initialization finished" in text(f"{tmp}/ulogd.log"))
    ours = text(f"{tmp}/new/ctflowd.conf").replace("ulogd.log", "log")
    daemon = Daemon(lab, NS, tmp, ours).start()
    send(lab)
    until("all flows to end", lambda: scene.all_gone(lab, NS), step=0.3)
    until("the flows", lambda: sum(ports(f"{tmp}/flows").values()) >= FLOWS)
    daemon.stop()
    until("the packets", lambda: sum(ports(f"{tmp}/packets").values()) >= FLOWS * PACKETS)
    ulogd.terminate()
    ulogd.wait(100)
    want = range(PORT, PORT + FLOWS)
    problems = []
    if ports(f"{tmp}/flows") != {p: 1 for p in want}:
        problems.append(f"flows: {ports(f'{tmp}/flows')}")
    if ports(f"{tmp}/packets") != {p: PACKETS for p in want}:
        problems.append(f"packets: {ports(f'{tmp}/packets')}")
    return problems


ulogd2.need()
scene.main(test)
