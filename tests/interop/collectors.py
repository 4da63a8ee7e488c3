# SPDX-License-Identifier: GPL-2.0-or-later
"""Real collectors: run, and what they understood as the rows of formats.py."""
import calendar
import collections
import datetime
import json
import os
import re
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import capture
import captured
from daemon import until
from formats import Row

MS = 1_000_000
PORTS = (6, 17)
ALARM = re.compile(r"\b(error|warning|malformed|unexpected|unknown|missing|cannot|invalid|"
                   r"skipp?ed|bad)\b", re.I)
UTC = {"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}


def _run(*argv):
    """stdout, and what the program said that is not its output."""
    done = subprocess.run(argv, capture_output=True, text=True, env=UTC, timeout=300, check=False)
    words = [w for w in done.stderr.splitlines() if w and not w.startswith("Running as user")]
    if done.returncode:
        words.append(f"exit code {done.returncode}")
    return done.stdout, words


def _address(text):
    """The canonical form of an address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return socket.inet_ntop(family, socket.inet_pton(family, text))


def _row(v, number, address, start, end):
    """A row from the elements a collector shows; missing ones are None."""
    def first(*names):
        return next((v[n] for n in names if n in v), None)

    def counted(name):
        total = name.replace("packets", "tpackets").replace("bytes", "tbytes")
        return number(name) if name in v else number(total) if total in v else None
    proto = number("proto")
    ports = [number(n) for n in ("sport", "dport")] if proto in PORTS else [None, None]
    rsport = number("xdport") if "xdport" in v and ports[1] is not None else ports[1]
    rdport = number("xsport") if "xsport" in v and ports[0] is not None else ports[0]
    icmp = divmod(number("icmp"), 256) if "icmp" in v else None
    return Row(proto, address(v["src"]), ports[0], address(v["dst"]), ports[1],
               address(first("xdst", "dst")), rsport, address(first("xsrc", "src")), rdport,
               *map(counted, ("packets", "bytes", "rpackets", "rbytes")), icmp,
               number("mark") if "mark" in v else None, start, end,
               zone=number("zone") if "zone" in v else None)


def _is_event(v):
    return "nat" in v or "fw" in v


def _is_flow(v):
    return "src" in v and not _is_event(v)  # else an options record


def _word(text):
    """A number, or an address."""
    text = text.split(" ")[0]
    return int(text, 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", text) else _address(text)


def _lives(v):
    """A record of a flow that goes on: flowEndReason active timeout."""
    return v.get("reason", "").split(" ")[0] in ("2", "0x02")


class Overheard:
    """The datagrams that another collector on the loopback gets, to be judged."""

    def __init__(self, lab, ns, port, **rules):
        self.port, self.rules = port, {"slack": 1} | rules
        self.capture = capture.Capture(lab, ns, "lo")
        captured.watch(self)

    def captured(self):
        """Each sender's are a session."""
        senders = collections.defaultdict(list)
        for p in self.capture.packets():
            if p.proto == capture.UDP and p.dport == self.port:
                senders[p.sport].append((p.ns / 1e9, p.mark))
        for sport, datagrams in senders.items():
            yield (f"udp to {self.port} from {sport}", "udp", datagrams), self.rules


class Nfcapd:
    """nfcapd over UDP and nfdump's JSON."""

    KEYS = {"proto": "proto", "src_port": "sport", "dst_port": "dport", "src4_addr": "src",
            "src6_addr": "src", "dst4_addr": "dst", "dst6_addr": "dst", "src4_xlt_ip": "xsrc",
            "dst4_xlt_ip": "xdst", "src_xlt_port": "xsport", "dst_xlt_port": "xdport",
            "in_packets": "packets", "in_bytes": "bytes", "out_packets": "rpackets",
            "out_bytes": "rbytes", "ingress_vrf": "zone"}

    def __init__(self, lab, ns, port, directory, host="127.0.0.1", **rules):
        self.lab, self.ns, self.port, self.dir = lab, ns, port, directory
        self.log = f"{directory}.log"
        Overheard(lab, ns, port, **rules)
        with open(self.log, "wb") as log:
            self.child = lab.popen(ns, ["nfcapd", "-b", host, "-p", str(port), "-w",
                                        directory, "-t", "600"], stdout=log, stderr=log)
        until("nfcapd to start", lambda: "Startup" in self.words())

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def finish(self):
        """Ends it; returns what it complained about."""
        until("nfcapd to have read all", lambda: self._queued() == 0)
        time.sleep(0.2)
        self.child.terminate()
        self.child.wait(100)
        words = self.words()
        bad = [w for w in words.splitlines() if ALARM.search(w) and not w.startswith("Ident:")]
        ends = re.findall(r"Sequence Errors: (\d+), Bad Packets: (\d+)", words)
        return bad + [f"sequence errors {a}, bad packets {b}" for a, b in ends
                      if (a, b) != ("0", "0")] + ([] if ends else ["no summary"])

    def _queued(self):
        """Bytes that wait in its sockets."""
        rows = [r.split() for kind in ("udp", "udp6") for r in self.lab.read(
            self.ns, f"/proc/thread-self/net/{kind}").splitlines()[1:]]
        return sum(int(r[4].split(":")[1], 16) for r in rows
                   if int(r[1].rsplit(":", 1)[1], 16) == self.port)

    def records(self):
        # a file may have ended meanwhile: it rotates every ten minutes
        text, words = _run("nfdump", "-R", self.dir, "-o", "json")
        if words:
            raise ValueError(words)
        return json.loads(text)

    def rows(self):
        for record in self.records():
            v = {new: record[old] for old, new in self.KEYS.items() if old in record}
            if "icmp_type" in record:
                v["icmp"] = record["icmp_type"] * 256 + record["icmp_code"]
            times = [_iso(record[k]) for k in ("first", "last")]
            yield _row(v, lambda k, v=v: int(v[k]), _address, *times)


def _iso(text):
    """2026-11-21T11:05:53.673, UTC."""
    when = datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc)
    return round(when.timestamp() * 1000) * MS


class Tshark:
    """tshark listening on the loopback of a namespace."""

    NAMES = {"protocol": "proto", "srcaddr": "src", "dstaddr": "dst", "srcaddrv6": "src",
             "dstaddrv6": "dst", "srcport": "sport", "dstport": "dport", "packets": "packets",
             "octets": "bytes", "icmp_type_code_ipv4": "icmp", "icmp_ipv6_type": "type6",
             "icmp_ipv6_code": "code6",
             "post_natsource_ipv4_address": "xsrc", "post_nat_source_ipv6_address": "xsrc",
             "post_natdestination_ipv4_address": "xdst",
             "post_nat_destination_ipv6_address": "xdst",
             "post_naptsource_transport_port": "xsport",
             "post_naptdestination_transport_port": "xdport",
             "ingress_vrfid": "zone", "vrfname": "vrf", "abstimestart": "start", "abstimeend": "end",
             "flow_end_reason": "reason", "nat_event": "nat", "firewall_event": "fw",
             "observation_time_milliseconds": "when", "permanent_octets": "tbytes",
             "permanent_packets": "tpackets"}

    def __init__(self, lab, ns, ports, path):
        self.path = path
        self.ports = ports  # [("udp", port), ("tcp", port)]
        wanted = " or ".join(f"{k} port {p}" for k, p in ports)
        log = open(f"{path}.log", "wb")
        self.child = lab.popen(ns, ["tshark", "-i", "lo", "-f", wanted, "-w", path],
                               stdout=log, stderr=log, env=UTC)
        log.close()
        until("tshark to capture", self._started)

    def _started(self):
        """Said so, and its packet socket is there (dumpcap's, a moment later)."""
        with open(f"{self.path}.log", encoding="utf-8", errors="replace") as f:
            return "Capture started" in f.read()

    def finish(self):
        """Ends it; returns its warnings and errors about what it captured."""
        sizes = []

        def rests():
            sizes.append(os.path.getsize(self.path))
            return len(sizes) > 10 and len(set(sizes[-10:])) == 1
        until("dumpcap to have written all", rests, step=0.2)  # which it does in blocks
        self.child.terminate()
        self.child.wait(100)
        text, words = self._read("-q", "-z", "expert")
        section = None
        for line in text.splitlines():
            if re.match(r"^(Errors|Warns|Notes|Chats) \(", line):
                section = line.split()[0]
            elif section in ("Errors", "Warns") and re.match(r"^\s+\d+\s", line):
                words.append(f"{section}: {' '.join(line.split())}")
        return words

    def _read(self, *options):
        decode = [w for k, p in self.ports for w in ("-d", f"{k}.port=={p},cflow")]
        return _run("tshark", "-r", self.path, *decode, *options)

    def rows(self, port, lives=False):
        """What came to a port: of flows that ended, or of such that live."""
        for v in self._flows(port):
            if _is_flow(v) and _lives(v) == lives:
                times = [_english(v[k]) if k in v else None for k in ("start", "end")]
                yield _row(v, lambda k, v=v: int(v[k], 0), _address, *times)

    def events(self, port):
        """Records of what happened to a flow, as dicts."""
        for v in self._flows(port):
            if _is_event(v):
                yield {k: _english(x) if k == "when" else _word(x) for k, x in v.items()}

    def zones(self, port):
        """The names it was told."""
        found = (v for v in self._flows(port) if "vrf" in v)
        return {int(v["zone"]): v["vrf"] for v in found}

    def _flows(self, port):
        transport = next(k for k, p in self.ports if p == port)
        text, _ = self._read("-T", "pdml", "-Y", f"{transport}.dstport == {port} and cflow")
        for packet in ET.fromstring(text).iter("packet"):
            for field in packet.iter("field"):
                if field.get("show", "").startswith("Flow ") and field.get("name") == "":
                    yield self._values(field)

    def _values(self, flow):
        v = {}
        for field in flow.iter("field"):
            name = self.NAMES.get(field.get("name", "").replace("cflow.", ""))
            if name and "(Reverse Type" in field.get("showname"):
                name = "r" + name
            if name:
                v[name] = field.get("show")
            if "(netfilter/iptables project) Type 4:" in field.get("showname", ""):
                v["mark"] = "0x" + field.get("value")
        if "type6" in v:
            v["icmp"] = str(int(v["type6"]) * 256 + int(v["code6"]))
        return v


def _english(text):
    """Nov 21, 2026 11:05:53.724000000 UTC"""
    whole, fraction = text.rsplit(" ", 1)[0].split(".")
    return calendar.timegm(time.strptime(whole, "%b %d, %Y %H:%M:%S")) * 10**9 + int(fraction)


class IpfixDump:
    """libfixbuf's own reader, on captured bytes (a stream is a valid file)."""

    KEYS = {"4": "proto", "8": "src", "27": "src", "12": "dst", "28": "dst", "7": "sport",
            "11": "dport", "225": "xsrc", "281": "xsrc", "226": "xdst", "282": "xdst",
            "227": "xsport", "228": "xdport", "2": "packets", "1": "bytes",
            "29305/2": "rpackets", "29305/1": "rbytes", "32": "icmp", "139": "icmp",
            "152": "start", "153": "end", "136": "reason", "86": "tpackets", "85": "tbytes",
            "29305/86": "rtpackets", "29305/85": "rtbytes", "234": "zone", "21373/4": "mark",
            "156": "start", "157": "end", "230": "nat", "233": "fw", "323": "when"}
    FIELD = re.compile(r"^\s+\(([\d/]+)\)(?: \(S\))?\s+(\w+) : (.*)$")

    def __init__(self, path):
        self.path = path
        self.text, self.words = _run("ipfixDump", "-d", "-i", path)

    def finish(self):
        """What it complained about."""
        return self.words + [w for w in self.text.splitlines()
                             if ALARM.search(w) and not self.FIELD.match(w)]

    def _records(self):
        for record in self.text.split("--- data record ")[1:]:
            matches = map(self.FIELD.match, record.splitlines())
            yield {m[1]: self._swapped(m[3]) if m[1] == "21373/4" and "alien" in m[2]
                   else m[3].strip() for m in matches if m}

    @staticmethod
    def _swapped(text):
        """A number whose type nobody told it: in the order of this machine's octets."""
        return str(int.from_bytes(int(text).to_bytes(4, sys.byteorder), "big"))

    def coverage(self):
        """How many options records of what was watched it saw."""
        return sum("335" in v for v in self._records())

    def zones(self):
        """The names it was told."""
        return {int(v["234"]): re.sub(r"^\(len: \d+\) ", "", v["236"])
                for v in self._records() if "236" in v}

    def _flows(self):
        for values in self._records():
            yield {new: values[old] for old, new in self.KEYS.items() if old in values}

    def rows(self, lives=False):
        for v in self._flows():
            if _is_flow(v) and _lives(v) == lives:
                times = [_iso(v[k].replace(" ", "T")) if k in v else None
                         for k in ("start", "end")]
                yield _row(v, lambda k, v=v: int(v[k]), _address, *times)

    def events(self):
        for v in self._flows():
            if _is_event(v):
                yield {k: _iso(x.replace(" ", "T")) if k == "when" else _word(x)
                       for k, x in v.items()}
