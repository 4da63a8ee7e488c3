# SPDX-License-Identifier: GPL-2.0-or-later
"""Part of ipfix_check.py: options records, what an exporter says about itself."""
import hashlib

from ipfix_elements import (EXPORTERS, OBSERVED, REVERSE, STATISTICS, TOTALS, TYPES, VARIABLE,
                            fits)
from ipfix_records import number
from ipfix_rules import Checks

# RFC 5610 section 3.10: what may have a meaning beside "default", and flags.
COUNTED = {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "f32", "f64"}
UNSIGNED = {"u8", "u16", "u32", "u64"}
QUANTITY, TOTAL, DELTA, IDENTIFIER, FLAGS, LIST = 1, 2, 3, 4, 5, 6
ALLOWED = {QUANTITY: COUNTED, TOTAL: UNSIGNED, DELTA: UNSIGNED, IDENTIFIER: UNSIGNED,
           FLAGS: UNSIGNED, LIST: {"list"}}
LAST_SEMANTICS = 8


class Reports(Checks):
    """Options records."""

    def report(self, domain, set_id, template, values):
        iana = {}
        for pen, element, raw in values:
            if pen == 0:
                iana.setdefault(element, []).append(raw)
        scope = tuple(raw for _, _, raw in values[:template.scopes])
        if TOTALS & set(iana):
            self.totals(set_id, domain, scope, iana)
        if 173 in iana and 145 in iana:
            self.flow_keys(set_id, domain, number(iana[145][0]), number(iana[173][0]))
        if {303, 346, 339} <= set(iana):
            self.element_type(set_id, {e: raws[0] for e, raws in iana.items()})
        for e in (263, 267):
            if any(map(any, iana.get(e, []))):
                self.complain("file-scope", f"set {set_id}: element {e} is not 0")
        if 262 in iana:
            self.checksum(set_id, iana[262][0])
        if 272 in iana and 269 in iana:
            self.time_window(set_id, number(iana[272][0]), number(iana[269][0]))

    # -- RFC 7011 section 4

    def totals(self, set_id, domain, scope, iana):
        times = [number(raw) for e in sorted(OBSERVED & set(iana)) for raw in iana[e]]
        if times != sorted(times):
            self.complain("report-interval", f"set {set_id}: the last time is before the first")
        for element in TOTALS & set(iana):
            n = number(iana[element][0])
            # what many domains tell of one exporter is one number
            key = element, set_id, scope if EXPORTERS & set(iana) else (domain.number, scope)
            if n < self.told.get(key, 0):
                self.complain("total-falls", f"set {set_id}: element {element} falls from "
                              f"{self.told[key]} to {n}")
            self.told[key] = n
            if self.whole and element in STATISTICS and 149 in iana:
                self.captured(set_id, domain, element, n)

    def captured(self, set_id, domain, element, n):
        """What a domain says it sent, with or without the message that says so."""
        low, high = domain.before[element], domain.sent[element]
        if not low <= n <= high:
            self.complain("total-wrong", f"set {set_id}: element {element} is {n}, captured "
                          f"were {low} to {high}")

    def flow_keys(self, set_id, domain, told, keys):
        template = domain.templates.get(told)
        if template is None:
            self.complain("keys-template", f"set {set_id}: keys of {told}, which is not there")
            return
        if keys >> len(template.fields):
            self.complain("keys-unused", f"set {set_id}: {told} has no such fields: {keys:x}")
        for i, (pen, element, _) in enumerate(template.fields):
            if keys >> i & 1 and pen == REVERSE:
                self.complain("keys-reverse", f"set {set_id}: the reverse of {element} is a key")

    # -- RFC 5610

    def element_type(self, set_id, raw):
        pen, element, kind = (number(raw[e]) for e in (346, 303, 339))
        where = f"set {set_id}: type of {pen}/{element}"
        if element & 0x8000:
            self.complain("type-bit", f"{where} with the enterprise bit")
        if pen == 0:
            self.complain("type-iana", f"{where}, which is IANA's")
            return
        semantics = number(raw.get(344, b"\0"))
        if kind >= len(TYPES) or semantics > LAST_SEMANTICS:
            self.complain("type-value", f"{where}: type {kind}, semantics {semantics}")
            return
        if semantics in ALLOWED and TYPES[kind] not in ALLOWED[semantics]:
            self.complain("type-semantics", f"{where}: {TYPES[kind]} with semantics {semantics}")
        self.names(where, raw)
        self.learn(where, pen, element & 0x7FFF, TYPES[kind], raw)

    def names(self, where, raw):
        name = raw.get(341, b"")
        if b"\0" in name + raw.get(340, b"") or name and not name[:1].islower():
            self.complain("type-name", f"{where} has the name {name!r}")

    def learn(self, where, pen, element, kind, raw):
        known = self.types.get((pen, element))
        if known and known[1] != raw:
            self.complain("type-changed", f"{where} was another one before")
        elif known and not self.udp:
            self.complain("type-again", f"{where} was told before")
        self.types[pen, element] = kind, raw
        if known:
            return
        used = self.used.get((pen, element))
        # over UDP a session may have had a configuration that tells none
        if used is not None and not self.udp:
            self.complain("type-late", f"{where} comes after message {used}, which uses it")
        for domain in self.domains.values():
            for number_, template in domain.templates.items():
                template.plan = None
                for p, e, length in template.fields:
                    if (p, e) == (pen, element) and length != VARIABLE and not fits(kind, length):
                        self.complain("type-length", f"template {number_}: {p}/{e}, which is "
                                      f"{kind}, in {length} octets")

    def finish(self):
        """Nothing more comes: what should have been told and was not."""
        owners = {pen for pen, _ in self.types}
        for pen, element in self.used:
            if pen in owners and (pen, element) not in self.types:
                self.complain("type-missing", f"nobody told the type of {pen}/{element}")
        return self

    # -- RFC 5655

    def checksum(self, set_id, value):
        if self.md5:
            self.complain("md5-twice", f"set {set_id}: a second checksum")
            return
        self.md5 = True
        at = self.data.find(value)
        blank = self.data[:at] + bytes(len(value)) + self.data[at + len(value):]
        if hashlib.md5(blank, usedforsecurity=False).digest() != value:
            self.complain("md5", f"set {set_id}: the checksum is another one")

    def time_window(self, set_id, first, last):
        if self.window:
            self.complain("window-twice", f"set {set_id}: a second time window")
        self.window = first, last
        for where, n in self.times:
            self.outside(where, n)
        self.times.clear()

    def in_window(self, set_id, found):
        """Flow times in a file: before its window record they wait for it."""
        for n in (found[e] for e in (152, 153) if e in found):
            if self.window:
                self.outside(set_id, n)
            else:
                self.times.append((set_id, n))

    def outside(self, set_id, n):
        if not self.window[0] <= n <= self.window[1]:
            self.complain("window-outside", f"set {set_id}: a flow outside the time window")
