#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside ulogd2 2.0.8: same configuration, same traffic, same output of every plugin.

Both write all text formats from inputs with several masks and filters, and IPFIX.
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
import sinks  # noqa: E402
import traffic  # noqa: E402
import ulogd2  # noqa: E402
import ulogd2_texts  # noqa: E402
from daemon import read_all, text, until  # noqa: E402
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
    "op": ("op{0}:OPRINT", ""),
    "hb": ("hb:IP2HBIN,hb{0}:OPRINT", ""),
    "na": ("ip:IP2STR,na{0}:NACCT", ""),
    "xml": ("xml{0}:XML", ""),
    "mark": ("m:MARK,ip:IP2STR,print:PRINTFLOW,mark{0}:LOGEMU", ""),
}
RECORDS = {"op": ulogd2_texts.oprint, "hb": ulogd2_texts.oprint, "na": ulogd2_texts.nacct,
           "xml": ulogd2_texts.flows}


def configuration(folder, port):
    out = f'[global]\nlogfile="{folder}/log"\nloglevel=3\n'
    out += "".join(f'plugin="{m}"\n' for m in ulogd2.MODULES if re.search(
        "NFCT|IP2STR|IP2HBIN|PRINT|MARK|LOGEMU|JSON|NACCT|XML|SYSLOG|IPFIX", m))
    sections = "[m]\nmark=0x80000000\nmask=0xff000000\n"
    for n, (name, options) in enumerate(INPUTS.items()):
        out += f"stack=ct{name}:NFCT,ip:IP2STR,print:PRINTFLOW,sys{name}:SYSLOG\n"
        sections += f"[sys{name}]\nfacility=LOG_LOCAL{n}\nlevel=LOG_INFO\n"
        sections += f"[ct{name}]\n{options}"
        for kind, (chain, more) in CHAINS.items():
            out += f"stack=ct{name}:NFCT,{chain.format(name)}\n"
            sections += f'[{kind}{name}]\nfile="{folder}/{kind}{name}"\nsync=1\n{more}'
            if kind == "xml":
                os.mkdir(f"{folder}/xml{name}")
                sections = sections.replace(f'file="{folder}/xml', f'directory="{folder}/xml')
    out += "stack=ctend:NFCT,ipf:IPFIX\n"
    # three flows to a message, for ulogd2 sends full ones alone
    sections += f"[ipf]\noid=1\nhost=127.0.0.1\nport={port}\nproto=udp\nmtu=" + (
        "1400\n" if port == 7001 else "120\n")
    return out + sections


def words(folder, kind, name, theirs):
    """What there is of it, a line a record."""
    path = f"{folder}/{kind}{name}"
    got = ulogd2_texts.xml_of(path) if kind == "xml" else text(path)
    return "\n".join(RECORDS[kind](got, theirs)) if kind in RECORDS else got


def of_facility(syslog, n):
    """The messages of the n-th input, LOG_LOCALn."""
    return "\n".join(ln for ln in syslog.flows().splitlines()
                     if ln.startswith(f"<{(16 + n) * 8 + 6}>"))


def test(lab, tmp):
    natlab.build(lab)
    folders = [f"{tmp}/ulogd2", f"{tmp}/ctflowd"]
    for folder, port in zip(folders, (7002, 7001)):
        os.mkdir(folder)
        with open(f"{folder}/conf", "w", encoding="utf-8") as f:
            f.write(configuration(folder, port))
    logs = [ulogd2.SysLog(folder) for folder in folders]
    peers = [ulogd2_texts.Datagrams(lab, 7002), sinks.UdpSink(lab, GATEWAY, 7001)]
    theirs = lab.popen(GATEWAY, logs[0].command(
        [shutil.which("ulogd"), "-c", f"{folders[0]}/conf"]), env=os.environ | {"TZ": "UTC"})
    until("ulogd2", lambda: "initialization finished" in text(f"{folders[0]}/log"))
    os.environ["TZ"] = "UTC"
    daemon = ulogd2.Beside(lab, GATEWAY, folders[1], f"{folders[1]}/conf", logs[1])
    daemon.start(wait=False)
    daemon.wait_log("entering main loop")  # that ulogd2 listens says nothing about us
    made = traffic.Traffic(lab)
    traffic.standard(made)
    until("all flows to end", lambda: scene.all_gone(lab, GATEWAY), step=0.3)
    daemon.stop()
    read_all(lab, GATEWAY, theirs.pid)
    theirs.terminate()
    theirs.wait(100)
    names = [(k, i) for k in CHAINS for i in INPUTS]
    print(f"{len(made.manifest())} flows in {len(names)} files, SYSLOG and IPFIX")
    problems = [p for k, i in names for p in ulogd2.differences(
        k + i, *(words(f, k, i, f == folders[0]) for f in folders))]
    problems += [p for n, i in enumerate(INPUTS) for p in ulogd2.differences(
        f"SYSLOG {i}", *(of_facility(log, n) for log in logs))]
    return problems + list(ulogd2_texts.ipfix(*(b"".join(p.messages()) for p in peers)))


ulogd2.need("JSON")
scene.main(test)
