#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Real collectors read our IPFIX: no complaint, and the values that were sent.

nfcapd over UDP, tshark listening to UDP and TCP, ipfixDump on what a TCP and
a UDP listener kept.
"""
import os
import shutil
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import compare  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import natlab  # noqa: E402
import scene  # noqa: E402
from natlab import GATEWAY  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

TCP_PORT, UDP_PORT, PEN_PORT, NFCAPD_PORT = 4739, 4740, 4741, 9995
MTU = 1400
PEN = 32473  # RFC 5612: for examples
STACKS = ["ct1:NFCT,tcp1:IPFIX", "ct1:NFCT,udp1:IPFIX", "ct1:NFCT,pen1:IPFIX", "ct1:NFCT,nf1:IPFIX"]


def section(port, proto):
    return f'oid=1\nhost="127.0.0.1"\nport={port}\nproto="{proto}"\n'


def nfdump_knows(flow, row):
    """nfdump 1.7.1 has no translated IPv6 addresses, and no marks."""
    if flow.family == socket.AF_INET6:
        row = row._replace(rsrc=row.dst, rdst=row.src)
    return row._replace(mark=None)


def save(path, data):
    with open(path, "wb") as f:
        f.write(data)
    return path


def coverage(dumps, session):
    """Told with an enterprise number alone: the stretch, and that it has ended."""
    wanted = "input=ct1 netns=? events=4 acct=1 timestamp=1 ctevents=1 reliable=1"
    reader = ipfix_wire.Reader()
    said = [v[PEN, 1013].decode() for message in ipfix_wire.messages(session)
            for _, v in reader.records(message, options=True) if (PEN, 1013) in v]
    seen = {name: dump.coverage() for name, dump in dumps.items()}
    problems = [f"coverage is {words!r}" for words in said if wanted not in words]
    if len(said) < 2 or seen != {"tcp": 0, "udp": 0, "pen": len(said)}:
        problems.append(f"{len(said)} coverage records, ipfixDump sees {seen}")
    return problems


def test(lab, tmp):
    natlab.build(lab)
    os.mkdir(f"{tmp}/nf")
    nfcapd = collectors.Nfcapd(lab, GATEWAY, NFCAPD_PORT, f"{tmp}/nf", mtu=1420)
    tcp, pen = (TcpSink(lab, GATEWAY, port, whole=True) for port in (TCP_PORT, PEN_PORT))
    udp = UdpSink(lab, GATEWAY, UDP_PORT, mtu=MTU, whole=True)
    tshark = collectors.Tshark(lab, GATEWAY, [("tcp", TCP_PORT), ("udp", UDP_PORT)],
                               f"{tmp}/tshark.pcap")
    flows = scene.standard(lab, tmp, STACKS, {
        "tcp1": section(TCP_PORT, "tcp"), "udp1": section(UDP_PORT, "udp") + f"mtu={MTU}\n",
        "pen1": section(PEN_PORT, "tcp") + f"pen={PEN}\n",
        "nf1": 'oid=1\nhost="127.0.0.1"\npreset=nfdump\n'})
    tcp.close()
    pen.close()
    said = {"nfcapd": nfcapd.finish(), "tshark": tshark.finish()}
    files = {"tcp": save(f"{tmp}/tcp.ipfix", bytes(tcp.sessions[0])),
             "pen": save(f"{tmp}/pen.ipfix", bytes(pen.sessions[0])),
             "udp": save(f"{tmp}/udp.ipfix", b"".join(udp.messages()))}
    dumps = {t: collectors.IpfixDump(p) for t, p in files.items()}
    said |= {f"ipfixDump {t}": d.finish() for t, d in dumps.items()}
    problems = [f"{who} says: {what}" for who, words in said.items() for what in words]
    problems += compare.differences("nfcapd", nfcapd.rows(), flows, nfdump_knows)
    for t, port in (("tcp", TCP_PORT), ("udp", UDP_PORT)):
        problems += compare.differences(f"tshark {t}", tshark.rows(port), flows)
    for t, dump in dumps.items():
        problems += compare.differences(f"ipfixDump {t}", dump.rows(), flows)
    problems += coverage(dumps, bytes(pen.sessions[0]))
    print(f"{len(flows)} flows, six times")
    return problems


for tool in ("nfcapd", "nfdump", "tshark", "ipfixDump"):
    if not shutil.which(tool):
        labs.skip(f"needs the program {tool}")
scene.main(test)
