#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside ulogd2 2.0.8: same configuration, same traffic, same lines.

Both write all text formats from inputs with several masks and filters.
"""
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
import traffic  # noqa: E402
import ulogd2  # noqa: E402
from daemon import Daemon, text, until  # noqa: E402
from natlab import GATEWAY  # noqa: E402

INPUTS = {
    "hash": "",
    "both": "hash_enable=0\n",
    "new": "hash_enable=0\nevent_mask=0x00000001\n",
    "end": "hash_enable=0\nevent_mask=4\n",
    "src": "hash_enable=0\naccept_src_filter=10.77.1.2/31,fd77:1::2/128\n",
    "v4": "hash_enable=0\naccept_dst_filter=10.0.0.0/8\naccept_proto_filter=udp,icmp\n",
}
CHAINS = {
    "emu": ("ip:IP2STR,print:PRINTFLOW,emu{0}:LOGEMU", ""),
    "gp": ("gp{0}:GPRINT", "timestamp=1\n"),
    "all": ("ip:IP2STR,print:PRINTFLOW,all{0}:GPRINT", ""),
    "js": ("ip:IP2STR,js{0}:JSON", ""),
    "ev": ("ev{0}:JSON", 'eventv1=1\ndevice="a gateway"\n'),
    "mark": ("m:MARK,ip:IP2STR,print:PRINTFLOW,mark{0}:LOGEMU", ""),
}


def configuration(folder):
    out = f'[global]\nlogfile="{folder}/log"\nloglevel=3\n'
    out += "".join(f'plugin="{m}"\n' for m in ulogd2.MODULES if re.search(
        "NFCT|IP2STR|PRINTFLOW|MARK|LOGEMU|GPRINT|JSON", m))
    sections = "[m]\nmark=0x80000000\nmask=0xff000000\n"
    for name, options in INPUTS.items():
        sections += f"[ct{name}]\n{options}"
        for kind, (chain, more) in CHAINS.items():
            out += f"stack=ct{name}:NFCT,{chain.format(name)}\n"
            sections += f'[{kind}{name}]\nfile="{folder}/{kind}{name}"\nsync=1\n{more}'
    return out + sections


def test(lab, tmp):
    natlab.build(lab)
    os.mkdir(f"{tmp}/ulogd2")
    with open(f"{tmp}/ulogd.conf", "w", encoding="utf-8") as f:
        f.write(configuration(f"{tmp}/ulogd2"))
    theirs = lab.popen(GATEWAY, [shutil.which("ulogd"), "-c", f"{tmp}/ulogd.conf"],
                      env=os.environ | {"TZ": "UTC"})
    until("ulogd2", lambda: "initialization finished" in text(f"{tmp}/ulogd2/log"))
    os.environ["TZ"] = "UTC"
    daemon = Daemon(lab, GATEWAY, tmp, configuration(tmp)).start(wait=False)
    daemon.wait_log("entering main loop")  # that ulogd2 listens says nothing about us
    made = traffic.Traffic(lab)
    traffic.standard(made)
    until("all flows to end", lambda: scene.all_gone(lab, GATEWAY), step=0.3)
    daemon.stop()
    theirs.terminate()
    theirs.wait(10)
    names = [k + i for k in CHAINS for i in INPUTS]
    print(f"{len(made.manifest())} flows in {len(names)} files")
    return [p for n in names
            for p in ulogd2.differences(n, text(f"{tmp}/ulogd2/{n}"), text(f"{tmp}/{n}"))]


ulogd2.need("JSON")
scene.main(test)
