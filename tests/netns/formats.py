# SPDX-License-Identifier: GPL-2.0-or-later
"""Readers of every output: all of them give the same rows.

What a format does not carry is None.  `end` is the last packet where the
format says so, else the end of the conntrack entry.
"""
import collections
import json
import re
import socket
import sqlite3

import ipfix_wire

FIELDS = "proto src sport dst dport rsrc rsport rdst rdport " \
    "opkts obytes rpkts rbytes icmp mark"
Row = collections.namedtuple("Row", FIELDS + " start end destroy zone",
                             defaults=(None,) * (len(FIELDS.split()) + 4))
NAMES = {"TCP": 6, "UDP": 17, "ICMP": 1}
US, MS = 1000, 1000000

LINE = re.compile(
    r"^\w{3} [ \d]\d \d\d:\d\d:\d\d \S+ \[DESTROY\] "
    r"ORIG: SRC=(\S+) DST=(\S+) PROTO=(\w+) ((?:\w+=\d+ )*?)PKTS=(\d+) BYTES=(\d+) , "
    r"REPLY: SRC=(\S+) DST=(\S+) PROTO=(\w+) ((?:\w+=\d+ )*?)PKTS=(\d+) BYTES=(\d+) $")


def _pairs(words):
    return dict((k, int(v)) for k, v in (w.split("=") for w in words.split()))


def logemu(path):
    """LOGEMU after PRINTFLOW; one malformed line is an error."""
    with open(path, encoding="ascii") as f:
        for line in f:
            m = LINE.match(line.rstrip("\n"))
            if not m:
                raise ValueError(f"not a line of LOGEMU: {line!r}")
            there, back = _pairs(m[4]), _pairs(m[10])
            if m[3] != m[9]:
                raise ValueError(f"two protocols in: {line!r}")
            icmp = (there["TYPE"], there["CODE"]) if m[3] == "ICMP" else None
            yield Row(NAMES.get(m[3]) or int(m[3]), m[1], there.get("SPT"), m[2],
                      there.get("DPT"), m[7], back.get("SPT"), m[8], back.get("DPT"),
                      int(m[5]), int(m[6]), int(m[11]), int(m[12]), icmp)


def _seconds(keys, what):
    sec = keys.get(f"flow.{what}.sec")
    return None if sec is None else int(sec) * 10**9 + int(keys[f"flow.{what}.usec"]) * US


def by_keys(k, src, dst, rsrc, rdst):
    """A row from ulogd2's keys."""
    def num(name):
        return int(k[name]) if name in k else None
    icmp = None
    for v in ("icmp", "icmpv6"):
        if f"{v}.type" in k:
            icmp = (num(f"{v}.type"), num(f"{v}.code"))
    if num("ct.event") not in (4, None) or num("reply.ip.protocol") != num("orig.ip.protocol"):
        raise ValueError(f"not the end of a flow: {k}")
    return Row(num("orig.ip.protocol"), src, num("orig.l4.sport"), dst, num("orig.l4.dport"),
               rsrc, num("reply.l4.sport"), rdst, num("reply.l4.dport"),
               num("orig.raw.pktcount"), num("orig.raw.pktlen"), num("reply.raw.pktcount"),
               num("reply.raw.pktlen"), icmp, num("ct.mark"), _seconds(k, "start"), None,
               _seconds(k, "end"))


def gprint(path):
    with open(path, encoding="ascii") as f:
        for line in f:
            k = dict(w.split("=", 1) for w in line.rstrip("\n").split(","))
            addresses = [k[f"{d}.ip.{a}"] for d in ("orig", "reply") for a in ("saddr", "daddr")]
            yield by_keys(k, *addresses)


def jsons(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            k = json.loads(line)
            if not re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?[+-]\d{4}$",
                            k["timestamp"]):
                raise ValueError(f"timestamp {k['timestamp']!r}")
            yield by_keys(k, k["src_ip"], k["dest_ip"], k["reply.ip.saddr.str"],
                           k["reply.ip.daddr.str"])


NATIVE = "proto, src, sport, dst, dport, nat_dst, nat_dport, nat_src, nat_sport, " \
    "orig_packets, orig_bytes, reply_packets, reply_bytes, icmp_type, icmp_code, mark, " \
    "start_ns, end_ns, destroy_ns"


def native(path, view="flows"):
    """Our own schema; without NAT the translated side is NULL."""
    with sqlite3.connect(path) as db:
        for r in db.execute(f"SELECT {NATIVE} FROM {view}"):
            icmp = None if r[13] is None else (r[13], r[14])
            first = lambda a, b: b if a is None else a  # noqa: E731
            yield Row(r[0], r[1], r[2], r[3], r[4], first(r[5], r[3]), first(r[6], r[4]),
                      first(r[7], r[1]), first(r[8], r[2]), *r[9:13], icmp, r[15] or 0,
                      *r[16:19])


# ulogd2's table, with further columns that show the other ways to store.
ULOG_CT = """CREATE TABLE ulog_ct (
 flow_start_sec INT UNSIGNED, flow_start_usec INT UNSIGNED,
 flow_end_sec INT UNSIGNED, flow_end_usec INT UNSIGNED,
 orig_ip_saddr INT UNSIGNED, orig_ip_daddr INT UNSIGNED,
 orig_l4_sport SMALLINT UNSIGNED, orig_l4_dport SMALLINT UNSIGNED,
 orig_ip_protocol TINYINT UNSIGNED, icmp_type TINYINT UNSIGNED, icmp_code TINYINT UNSIGNED,
 orig_raw_pktlen INT UNSIGNED, orig_raw_pktcount INT UNSIGNED,
 reply_raw_pktlen INT UNSIGNED, reply_raw_pktcount INT UNSIGNED, ct_mark INT UNSIGNED,
 reply_ip_saddr TEXT, reply_ip_daddr BLOB, reply_ip_protocol INT,
 reply_l4_sport INT, reply_l4_dport INT, icmpv6_type INT, icmpv6_code INT,
 ct_event INT, ct_id INT, oob_family INT)"""


def _little(number):
    """ulogd2 reads the four network bytes as a little-endian number."""
    return None if number is None else socket.inet_ntoa(number.to_bytes(4, "little"))


def ulog_ct(path):
    """An existing table: addresses as INTEGER (v4), TEXT and BLOB."""
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        for r in db.execute("SELECT * FROM ulog_ct"):
            k = {c.replace("_", "."): r[c] for c in r.keys() if r[c] is not None}
            blob = r["reply_ip_daddr"]
            family = {2: socket.AF_INET, 10: socket.AF_INET6}[r["oob_family"]]
            if r["ct_id"] < 0 or r["ct_mark"] < 0:
                raise ValueError("a negative 32-bit value")
            src, dst = (_little(r[c]) if family == socket.AF_INET else r[c]
                        for c in ("orig_ip_saddr", "orig_ip_daddr"))
            yield by_keys(k, src, dst, r["reply_ip_saddr"], socket.inet_ntop(family, blob))


def _number(values, pen, element):
    raw = values.get((pen, element))
    return None if raw is None else int.from_bytes(raw, "big")


def _ip(values, *elements):
    for e in elements:
        raw = values.get((0, e))
        if raw is not None:
            return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)
    return None


def _ipfix_row(v):
    def num(element, pen=0):
        return _number(v, pen, element)
    rev = ipfix_wire.PEN_REVERSE
    proto = num(4)
    first = lambda a, b: b if a is None else a  # noqa: E731
    src, dst, sport, dport = _ip(v, 8, 27), _ip(v, 12, 28), num(7), num(11)
    kind = first(num(32), num(139))
    if proto not in (6, 17, 132, 33, 136):  # no ports: conntrack has none
        sport = dport = None
    return Row(proto, src, sport, dst, dport, first(_ip(v, 226, 282), dst),
               dport and first(num(228), dport), first(_ip(v, 225, 281), src),
               sport and first(num(227), sport), num(2), num(1), num(2, rev), num(1, rev),
               None if kind is None else divmod(kind, 256), num(4, 21373),
               num(152) * MS, num(153) * MS)


def ipfix(stream):
    """Rows of a session's messages."""
    reader = ipfix_wire.Reader()
    for message in ipfix_wire.messages(stream):
        for _, values in reader.records(message):
            yield _ipfix_row(values)
