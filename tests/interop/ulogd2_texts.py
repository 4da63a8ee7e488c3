# SPDX-License-Identifier: GPL-2.0-or-later
"""What OPRINT, NACCT, XML and IPFIX of both daemons wrote, made comparable.

A line a record, without the differences docs/compatibility.md lists: what
ulogd2 prints backwards is turned round, what it has not got is left out.
"""
import collections
import contextlib
import glob
import re
import socket
import xml.etree.ElementTree

import formats
import ipfix_wire
import sinks
from daemon import text
from natlab import GATEWAY


def oprint(words, theirs):
    for chunk in words.split("===>PACKET BOUNDARY\n")[1:]:
        keys = [ln.split("=", 1) for ln in chunk.splitlines()]
        yield ",".join(f"{k}={_address(k, v, ['oob.family', '10'] in keys, theirs)}"
                       for k, v in keys if not k.startswith(("icmpv6.", "flow.start."))
                       and k != "reply.ip.hdaddr")  # ulogd2's IP2HBIN forgets it


def _address(key, value, v6, theirs):
    if not key.endswith("addr"):
        return value
    if v6:  # four bytes of it, or of a pointer
        return "IPv6"
    backwards = theirs and not re.search(r"\.h[sd]addr$", key)
    return ".".join(reversed(value.split("."))) if backwards else value


def nacct(words, _theirs):
    for ln in words.splitlines():
        columns = ln.split("\t")
        if columns[1] == "58":  # type and code, where ulogd2 has 0
            columns[3] = columns[5] = "0"
        yield "\t".join(columns)


def xml_of(folder):
    """All documents, each of which must be one."""
    return "".join(_document(p) for p in sorted(glob.glob(f"{folder}/*.xml")))


def _document(path):
    words = text(path)
    xml.etree.ElementTree.fromstring(words)
    return words


def flows(words, _theirs):
    for ln in words.splitlines():
        if not ln.startswith("<flow>"):
            continue
        ln = re.sub(r"<when>.*</when>", "", ln)
        if "<timeout>" in ln:  # still alive: how long, is a matter of when one looks
            ln = re.sub(r"<deltatime>\d+</deltatime>", "", ln)
        if 'protonum="132"' in ln or 'protonum="33"' in ln:  # names of TCP's states
            ln = re.sub(r"<state>\w+</state>", "", ln)
        if 'protonum="33"' in ln:
            ln = re.sub(r"<([sd])port>\d+</\1port>", "", ln)
        yield ln


class Datagrams:
    """A collector that asks for no good IPFIX."""

    def __init__(self, lab, port):
        self.socket = lab.socket(GATEWAY, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, sinks.SO_RCVBUFFORCE, 8 << 20)
        self.socket.bind(("127.0.0.1", port))
        self.socket.setblocking(False)

    def messages(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self.socket.recv(65536)


def _theirs(stream):
    """ulogd2's ten elements; of IPv6 it sends the first four bytes."""
    reader = ipfix_wire.Reader()
    for message in ipfix_wire.messages(stream):
        for _, values in reader.records(message):
            v = {e: int.from_bytes(raw, "big") for (_, e), raw in values.items()}
            if v[8] >> 16 != 0xfd77:
                yield (v[4], v[8], v[7], v[12], v[11], v[86], v[85], v[95])


def _number(address):
    return int.from_bytes(map(int, address.split(".")), "big")


def _ours(stream):
    for r in formats.ipfix(stream):
        if ":" not in r.src:
            yield (r.proto, _number(r.src), r.sport or 0, _number(r.dst), r.dport or 0,
                   r.opkts + r.rpkts, r.obytes + r.rbytes, r.mark or 0)


def ipfix(theirs, ours):
    """ulogd2 throws the last flows away, so it has a part of what ctflowd has."""
    a, b = (collections.Counter(f(s)) for f, s in ((_theirs, theirs), (_ours, ours)))
    if sum(a.values()) < 10:
        yield f"IPFIX: only {sum(a.values())} flows of ulogd2"
    yield from (f"IPFIX, only ulogd2: {flow}" for flow in list((a - b).elements())[:3])
