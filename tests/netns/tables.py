# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables people already have from ulogd2, and their rows."""
import ipaddress
import socket
import sqlite3

import formats

# Columns and types are ulogd2's; but what numbers the rows is SQLite's.
TABLES = {
    # For SQLite, without IP2STR.
    "ulog_ct": """CREATE TABLE ulog_ct (
 flow_start_sec INT UNSIGNED, flow_start_usec INT UNSIGNED,
 flow_end_sec INT UNSIGNED, flow_end_usec INT UNSIGNED,
 orig_ip_saddr INT UNSIGNED, orig_ip_daddr INT UNSIGNED,
 orig_l4_sport SMALLINT UNSIGNED, orig_l4_dport SMALLINT UNSIGNED,
 orig_ip_protocol TINYINT UNSIGNED, icmp_type TINYINT UNSIGNED, icmp_code TINYINT UNSIGNED,
 orig_raw_pktlen INT UNSIGNED, orig_raw_pktcount INT UNSIGNED,
 reply_raw_pktlen INT UNSIGNED, reply_raw_pktcount INT UNSIGNED, ct_mark INT UNSIGNED)""",
    # For PostgreSQL.
    "ulog2_ct": """CREATE TABLE ulog2_ct (
 _ct_id INTEGER PRIMARY KEY, oob_family SMALLINT,
 orig_ip_saddr_str INET, orig_ip_daddr_str INET, orig_ip_protocol SMALLINT,
 orig_l4_sport INTEGER, orig_l4_dport INTEGER,
 orig_raw_pktlen BIGINT, orig_raw_pktcount BIGINT,
 reply_ip_saddr_str INET, reply_ip_daddr_str INET, reply_ip_protocol SMALLINT,
 reply_l4_sport INTEGER, reply_l4_dport INTEGER,
 reply_raw_pktlen BIGINT, reply_raw_pktcount BIGINT,
 icmp_code SMALLINT, icmp_type SMALLINT, ct_mark BIGINT,
 flow_start_sec BIGINT, flow_start_usec BIGINT, flow_end_sec BIGINT, flow_end_usec BIGINT,
 ct_event SMALLINT)""",
    # For MySQL: the view is what the configuration names.
    "conntrack": """CREATE TABLE ulog2_conntrack (
 _ct_id INTEGER PRIMARY KEY, oob_family TINYINT UNSIGNED,
 orig_ip_saddr BINARY(16), orig_ip_daddr BINARY(16), orig_ip_protocol TINYINT UNSIGNED,
 orig_l4_sport INTEGER UNSIGNED, orig_l4_dport INTEGER UNSIGNED,
 orig_bytes BIGINT, orig_packets BIGINT,
 reply_ip_saddr BINARY(16), reply_ip_daddr BINARY(16), reply_ip_protocol TINYINT UNSIGNED,
 reply_l4_sport INTEGER UNSIGNED, reply_l4_dport INTEGER UNSIGNED,
 reply_bytes BIGINT, reply_packets BIGINT, icmp_code TINYINT, icmp_type TINYINT,
 ct_mark BIGINT, flow_start_sec INTEGER UNSIGNED, flow_start_usec INTEGER UNSIGNED,
 flow_end_sec INTEGER UNSIGNED, flow_end_usec INTEGER UNSIGNED);
CREATE VIEW conntrack AS SELECT _ct_id, oob_family, orig_ip_saddr AS orig_ip_saddr_bin,
 orig_ip_daddr AS orig_ip_daddr_bin, orig_ip_protocol, orig_l4_sport, orig_l4_dport,
 orig_bytes AS orig_raw_pktlen, orig_packets AS orig_raw_pktcount,
 reply_ip_saddr AS reply_ip_saddr_bin, reply_ip_daddr AS reply_ip_daddr_bin,
 reply_ip_protocol, reply_l4_sport, reply_l4_dport, reply_bytes AS reply_raw_pktlen,
 reply_packets AS reply_raw_pktcount, icmp_code, icmp_type, ct_mark,
 flow_start_sec, flow_start_usec, flow_end_sec, flow_end_usec FROM ulog2_conntrack;
CREATE TRIGGER conntrack_insert INSTEAD OF INSERT ON conntrack BEGIN
 INSERT INTO ulog2_conntrack VALUES(NULL, new.oob_family, new.orig_ip_saddr_bin,
 new.orig_ip_daddr_bin, new.orig_ip_protocol, new.orig_l4_sport, new.orig_l4_dport,
 new.orig_raw_pktlen, new.orig_raw_pktcount, new.reply_ip_saddr_bin,
 new.reply_ip_daddr_bin, new.reply_ip_protocol, new.reply_l4_sport, new.reply_l4_dport,
 new.reply_raw_pktlen, new.reply_raw_pktcount, new.icmp_code, new.icmp_type, new.ct_mark,
 new.flow_start_sec, new.flow_start_usec, new.flow_end_sec, new.flow_end_usec); END""",
    # One that people made for it, with IPv6.
    "flows": """CREATE TABLE flows (
 flow_start_sec INTEGER, flow_start_usec INTEGER, flow_end_sec INTEGER, flow_end_usec INTEGER,
 oob_family INTEGER, orig_ip_saddr_str TEXT, orig_ip_daddr_str TEXT,
 orig_ip_protocol INTEGER, orig_l4_sport INTEGER, orig_l4_dport INTEGER,
 reply_ip_saddr_str TEXT, reply_ip_daddr_str TEXT, reply_ip_protocol INTEGER,
 reply_l4_sport INTEGER, reply_l4_dport INTEGER,
 orig_raw_pktlen INTEGER, orig_raw_pktcount INTEGER,
 reply_raw_pktlen INTEGER, reply_raw_pktcount INTEGER,
 icmp_type INTEGER, icmp_code INTEGER, icmpv6_type INTEGER, icmpv6_code INTEGER,
 ct_mark INTEGER, ct_event INTEGER);
CREATE INDEX flows_end ON flows(flow_end_sec)""",
}


def make(path):
    """All of them, in one database."""
    with sqlite3.connect(path) as db:
        for sql in TABLES.values():
            db.executescript(sql)
    db.close()


def _keys(row):
    """ulogd2's keys of the values there are: whole numbers, none negative, text or bytes."""
    keys = {c.replace("_", "."): row[c] for c in row.keys() if row[c] is not None}
    for key, value in keys.items():
        good = isinstance(value, str) if key.endswith(".str") else \
            isinstance(value, bytes) and len(value) == 16 if key.endswith(".bin") else \
            isinstance(value, int) and value >= 0
        if not good:
            raise ValueError(f"{key} is stored as {value!r}")
    return keys


def _address(keys, name):
    """A number is the four network bytes read as a little-endian one."""
    if name in keys:
        return socket.inet_ntoa(keys[name].to_bytes(4, "little"))
    if name + ".bin" not in keys:
        return keys.get(name + ".str")
    ip = ipaddress.IPv6Address(keys[name + ".bin"])
    return str(ip.ipv4_mapped or ip)


def rows(path, table):
    with sqlite3.connect(path) as db:
        db.row_factory = sqlite3.Row
        stored = db.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()
    for n, row in enumerate(stored, 1):
        keys = _keys(row)
        if keys.pop(".ct.id", n) != n:
            raise ValueError(f"the table's own number of row {n} is {row['_ct_id']}")
        keys.setdefault("reply.ip.protocol", keys["orig.ip.protocol"])
        yield formats.by_keys(keys, *(_address(keys, f"{d}.ip.{a}")
                                      for d in ("orig", "reply") for a in ("saddr", "daddr")))


def expected(table):
    """What compare.differences() does with the truth: columns it has not are None."""
    columns = TABLES[table]

    def adapt(flow, row):
        missing = {}
        if "_str" not in columns and "_bin" not in columns and flow.family != socket.AF_INET:
            missing.update(src=None, dst=None)  # a number of 32 bits has no room
        if "reply_ip" not in columns:
            missing.update(rsrc=None, rdst=None, rsport=None, rdport=None)
        if "icmpv6" not in columns and flow.proto == socket.IPPROTO_ICMPV6:
            missing.update(icmp=None)
        return row._replace(**missing)
    return adapt
