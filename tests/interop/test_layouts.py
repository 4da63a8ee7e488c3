#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Options change between runs, and two namespaces are observed at a time.

Over UDP each layout has its block of template ids, the same one when it comes
back; every flow decodes by what was announced under its id; a stream begins at
256 each time.  Each namespace is an observation domain with a name.
"""
import os
import shutil
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]

import collectors  # noqa: E402
import ipfix_wire  # noqa: E402
import lab as labs  # noqa: E402
import scene  # noqa: E402
from daemon import Daemon, configuration, until  # noqa: E402
from sinks import TcpSink, UdpSink  # noqa: E402

HOME, OTHER = "home", f"ctl-{os.getpid()}-other"
OID, NSID, FLOWS = 10, 4, 5
UDP_PORT, TCP_PORT = 4740, 4739
PEN = 32473  # RFC 5612: for examples
# options, the block of template ids over UDP, an element only it has
RUNS = [("", 256, (0, 152)), (f"pen={PEN}\n", 384, (PEN, 1001)),
        ("timestamps=ns\nuniflow=yes\n", 512, (0, 156)), (f"pen={PEN}\n", 384, (PEN, 1001)),
        ("", 256, (0, 152))]


def run(lab, tmp, flood, options):
    """One life of the daemon, with flows in both namespaces."""
    more = f'oid={OID}\nhost="127.0.0.1"\n{options}'
    daemon = Daemon(lab, HOME, tmp, configuration(
        tmp, ["ct1:NFCT,udp1:IPFIX", "ct1:NFCT,tcp1:IPFIX"], {
            "ct1": "namespaces=all\n", "udp1": f"proto=udp\nport={UDP_PORT}\n{more}",
            "tcp1": f"proto=tcp\nport={TCP_PORT}\n{more}"})).start()
    daemon.wait_log("entering main loop")
    for name in (HOME, OTHER):
        lab.run(name, flood, str(FLOWS))
        lab.run(name, "conntrack", "-F")
    daemon.stop()


def judge(name, messages, reader, block, element):
    """Flows of both domains, by templates of that block that have the element."""
    flows, names = {OID: 0, OID + 1 + NSID: 0}, {}
    for message in messages:
        domain = ipfix_wire.HEADER.unpack_from(message)[4]
        for tid, values in reader.records(message):
            if not block <= tid < block + 128 or element not in values:
                yield f"{name}: template {tid} with {sorted(values)}, not of {block}"
            if values[0, 8] != socket.inet_aton("10.66.0.1"):
                yield f"{name}: {values} is not what was sent"
            flows[domain] += 1
        for tid, values in reader.records(message, options=True):
            if (0, 300) in values:
                names[int.from_bytes(values[0, 149], "big")] = values[0, 300].decode()
                if tid != block + 49:
                    yield f"{name}: a name by template {tid}"
    if set(flows.values()) != {FLOWS}:
        yield f"{name}: flows by domain: {flows}"
    host = socket.gethostname()
    if names != {OID: host, OID + 1 + NSID: f"{host}/{OTHER}"}:
        yield f"{name}: names of domains: {names}"


def test(lab, tmp):
    labs.host_lock()
    labs.flood_ns(lab, HOME)
    lab.add_named(OTHER)
    labs.flood_inside(lab, OTHER)
    lab.run(HOME, "ip", "netns", "set", OTHER, str(NSID))
    flood = labs.helper("flood", tmp)
    udp, tcp = UdpSink(lab, HOME, UDP_PORT), TcpSink(lab, HOME, TCP_PORT)
    collector = Domains()  # its templates outlive our runs
    problems = []
    for i, (options, block, element) in enumerate(RUNS):
        before = len(udp.messages())
        run(lab, tmp, flood, options)
        until("the session", lambda n=i: tcp.over > n)
        messages = udp.messages()[before:]
        problems += judge(f"udp {i}", messages, collector, block, element)
        problems += judge(f"tcp {i}", list(ipfix_wire.messages(bytes(tcp.sessions[i]))),
                          Domains(), 256, element)
    udp.close()
    tcp.close()
    problems += dumped(tmp, udp.datagrams)
    print(f"{len(RUNS)} runs")
    return problems


class Domains:
    """A reader of messages of several domains."""

    def __init__(self):
        self.readers = {}

    def records(self, message, options=False):
        domain = ipfix_wire.HEADER.unpack_from(message)[4]
        return self.readers.setdefault(domain, ipfix_wire.Reader()).records(message, options)


def dumped(tmp, datagrams):
    """libfixbuf reads it all as one stream: no template is defined anew."""
    for domain in (OID, OID + 1 + NSID):
        path = f"{tmp}/{domain}.ipfix"
        with open(path, "wb") as f:
            f.write(b"".join(d for d in datagrams
                             if ipfix_wire.HEADER.unpack_from(d)[4] == domain))
        for what in collectors.IpfixDump(path).finish():
            if "equence" not in what:  # each run begins at 0
                yield f"ipfixDump: {what}"


if not shutil.which("ipfixDump"):
    labs.skip("needs the program ipfixDump")
scene.main(test)
