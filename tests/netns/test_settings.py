#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kernel setting and capability wrong in turn.

The log says what the data will lack and the command that mends it; where that
command can be run here, it is, and has to mend it.
"""
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, Failed, configuration, text, until  # noqa: E402

NS = "settings"
STACK = ["ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"]
# setting, value, what the data lacks
SETTINGS = (
    ("acct", 0, "flows have no packet and byte counters"),
    ("timestamp", 0, "flows have no start time"),
    ("events", 0, "flows begun from now on are never reported"),
    ("events", 2, "flows begun while nothing listens never report their end"),
)
# capability, options, what the log says, the command
CAPABILITIES = (
    ("net_admin", "", "there are no flows at all: needs CAP_NET_ADMIN",
     "setcap cap_net_admin+ep /"),
    ("net_broadcast", "namespaces=all\n",
     "flows of other network namespaces are not recorded (Operation not permitted: "
     "needs CAP_NET_BROADCAST)", "setcap cap_net_admin,cap_net_broadcast+ep /"),
    ("sys_admin", "", "coverage lacks it until flows have ended (needs CAP_SYS_ADMIN)",
     "setcap cap_net_admin,cap_sys_admin+ep /"),
)


def daemon_in(lab, tmp, name, options=""):
    path = os.path.join(tmp, name)
    os.mkdir(path)
    return Daemon(lab, NS, path, configuration(path, STACK, {
        "ct1": options, "emu1": f'file="{path}/emu"\nsync=1\n'}))


def command(daemon, about):
    """What to type, of the line of the log that is about that."""
    for line in daemon.log().splitlines():
        if about in line and "to change it: " in line:
            return line.split("to change it: ", 1)[1]
    raise Failed(f"no command about '{about}' in {daemon.log()}")


def value(lab, name):
    return int(lab.read(NS, f"/proc/sys/net/netfilter/nf_conntrack_{name}"))


def setting(lab, tmp, name, wrong, lack):
    """One is wrong at the start; and becomes wrong while it runs."""
    lab.sysctl(NS, **({"acct": 1, "timestamp": 1, "events": 1} | {name: wrong}))
    daemon = daemon_in(lab, tmp, f"{name}-{wrong}", "sysctl=warn\n").start()
    said = f"nf_conntrack_{name} is {wrong}: {lack}"
    daemon.wait_log(said)
    lab.run(NS, "sh", "-c", command(daemon, said))
    if value(lab, name) != 1:
        yield f"the command of '{said}' does not mend it"
    others = [n for n in ("acct", "timestamp", "events")
              if n != name and f"nf_conntrack_{n} is" in daemon.log()]
    if others:
        yield f"said about {others}, too: {daemon.log()}"
    daemon.stop()


def no_rule(lab, tmp):
    """No rule asks for conntrack; the rule of the message makes flows."""
    lab.run(NS, "nft", "flush", "ruleset")
    daemon = daemon_in(lab, tmp, "rule", "sysctl=set\n").start()
    daemon.wait_log("without one there are no flows")
    flow(lab, 5000)
    if lab.count(NS):
        yield "there are flows without a rule"
    lab.run(NS, "sh", "-c", command(daemon, "without one there are no flows"))
    flow(lab, 6000)
    lab.run(NS, "conntrack", "-F")
    until("the flow", lambda: "DPT=6000" in text(f"{daemon.dir}/emu"))
    if "DPT=5000" in text(f"{daemon.dir}/emu"):
        yield "a flow from before the rule"
    daemon.stop()


def flow(lab, port):
    with lab.socket(NS, 2, 2) as s:
        s.sendto(b"x", ("127.0.0.1", port))


def capability(lab, tmp, name, options, said, mends):
    daemon = daemon_in(lab, tmp, name, options)
    wrapper = os.path.join(daemon.dir, "ctflowd")
    with open(wrapper, "w", encoding="ascii") as f:
        f.write(f'#!/bin/sh\nexec setpriv --bounding-set=-{name} {daemon.program} "$@"\n')
    os.chmod(wrapper, 0o755)
    daemon.program = wrapper
    daemon.start(wait=name != "net_admin")
    daemon.wait_log(said)
    line = command(daemon, said)
    if not line.startswith(mends) or not re.search(r"/ctflowd$", line):
        yield f"'{line}', not '{mends}'"
    if name == "net_admin":
        if daemon.wait() != 1:
            yield "it runs without CAP_NET_ADMIN"
        return
    flow(lab, 7000)
    lab.run(NS, "conntrack", "-F")
    until("the flow", lambda: "DPT=7000" in text(f"{daemon.dir}/emu"))
    daemon.stop()


def test(lab, tmp):
    labs.host_lock()
    if not shutil.which("setpriv"):
        labs.skip("needs setpriv (util-linux)")
    labs.flood_ns(lab, NS)
    lab.run(NS, "nft", "flush", "ruleset")
    lab.nft(NS, "table inet t { chain c { type filter hook output priority 0; ct state new; }; }")
    problems = []
    for args in SETTINGS:
        problems += setting(lab, tmp, *args)
    for args in CAPABILITIES:
        problems += capability(lab, tmp, *args)
    return problems + list(no_rule(lab, tmp))


scene.main(test)
