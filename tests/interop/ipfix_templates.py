# SPDX-License-Identifier: GPL-2.0-or-later
"""Part of ipfix_check.py: templates, their fields, how they come and go."""
import struct

from ipfix_elements import (ADDRESSES, EXPORTERS, ICMP, IRREVERSIBLE, KEYS, LOST, OBSERVED, PORTS,
                            REVERSE, STARTS, STATISTICS, TYPE_OF, UNREAD, VARIABLE, fits)
from ipfix_rules import Checks

GENERATIONS = 3  # refreshes a template must have rested over UDP to change


class Template:
    """fields: (enterprise, element, length) in order; scopes: None or how many are scope."""

    def __init__(self, raw, fields, scopes, time):
        self.raw, self.fields, self.scopes, self.time = raw, fields, scopes, time
        self.seen = None  # capture time of the last copy
        self.smallest = sum(1 if length == VARIABLE else length for _, _, length in fields)
        self.fixed = all(length != VARIABLE for _, _, length in fields)
        self.plan = None  # of the values to look at, once there are data

    def iana(self):
        return {element for pen, element, _ in self.fields if pen == 0}

    def scope(self):
        return self.fields[:self.scopes or 0]


class Templates(Checks):
    """Template Sets and Options Template Sets."""

    def template_set(self, domain, content, options, time, captured):
        at = count = 0
        while len(content) - at >= 4:
            number, fields = struct.unpack_from(">HH", content, at)
            if fields == 0 and (number >= 256 or number == (3 if options else 2)):
                self.withdraw(domain, number, options, time, len(content))
                at += 4
                continue
            if number < 256:
                if number:
                    self.complain("template-id", f"template {number}")
                    return
                break
            end = self.template(domain, content, at, options, time, captured)
            if end is None:
                return
            at = end
            count += options
        if any(content[at:]):
            self.complain("padding", "a template set ends in octets that are not padding")
        elif len(content) - at >= (6 if options else 4):
            self.complain("padding-long", "padding as long as a template")
        if count > 1:
            self.complain("options-apart", f"{count} options templates in one set")

    def withdraw(self, domain, number, options, time, alone):
        """alone: octets of the set, 4 if there is nothing else in it."""
        if self.udp:
            self.complain("withdraw-udp", f"withdrawal of {number} over UDP")
        if self.file:
            self.complain("file-withdrawal", f"withdrawal of {number} in a file")
        gone = [number]
        if number in (2, 3):
            if alone > 4:
                self.complain("withdraw-all", f"withdrawal of all ({number}) beside others")
            gone = [n for n, t in domain.templates.items() if (t.scopes is not None) == options]
        for n in gone:
            template = domain.templates.pop(n, None)
            if template is None:
                self.complain("withdraw-unknown", f"withdrawal of {n}, which is not there")
            elif (template.scopes is not None) != options:
                self.complain("withdraw-kind", f"withdrawal of {n} in the wrong kind of set")
            domain.withdrawn[n] = time

    def template(self, domain, content, at, options, time, captured):
        """Takes one in; where it ends, or None."""
        begin, (number, count) = at, struct.unpack_from(">HH", content, at)
        at += 4
        scopes = None
        if options:
            if len(content) - at < 2:
                return self.complain("template-cut", f"options template {number} is cut")
            scopes, = struct.unpack_from(">H", content, at)
            at += 2
            if not 1 <= scopes <= count:
                self.complain("scopes", f"template {number}: {scopes} scope fields")
        fields = []
        for _ in range(count):
            spec = self.specifier(content, at, number)
            if spec is None:
                return None
            fields.append(spec[:3])
            at += spec[3]
        template = Template(content[begin:at], fields, scopes, time)
        self.judge_fields(number, template)
        if options:
            self.judge_report(number, template, domain)
        self.define(domain, number, template, captured)
        return at

    def specifier(self, content, at, number):
        if len(content) - at < 4:
            return self.complain("template-cut", f"template {number} is cut")
        element, length = struct.unpack_from(">HH", content, at)
        if not element & 0x8000:
            return 0, element, length, 4
        if len(content) - at < 8:
            return self.complain("enterprise-cut", f"template {number}: no enterprise number")
        pen, = struct.unpack_from(">I", content, at + 4)
        if pen in (0, 0xFFFFFFFF):
            self.complain("enterprise", f"template {number}: enterprise {pen}")
            pen = 0xFFFFFFFF
        return pen, element & 0x7FFF, length, 8

    # -- fields

    def judge_fields(self, number, template):
        where = f"template {number}"
        for pen, element, length in template.fields:
            if pen == 0 and element not in TYPE_OF:
                self.complain("element", f"{where}: no IANA element {element}")
            elif pen in (0, REVERSE) and not fits(TYPE_OF.get(element), length):
                self.complain("element-length", f"{where}: element {element} in {length} octets")
            elif length == 0:
                self.complain("element-empty", f"{where}: {pen}/{element} has no octet")
            kind = self.types.get((pen, element))
            if kind and not fits(kind[0], length):
                self.complain("type-length", f"{where}: {pen}/{element}, which is {kind[0]}, "
                              f"in {length} octets")
            self.used.setdefault((pen, element), self.count)
        self.judge_biflow(where, template)
        if template.scopes is None:
            self.judge_habits(where, template)

    def judge_biflow(self, where, template):
        iana = template.iana()
        lengths = {element: length for pen, element, length in template.fields if pen == 0}
        reverse = [f for f in template.fields if f[0] == REVERSE]
        for _, element, length in reverse:
            if element in IRREVERSIBLE or element not in TYPE_OF:
                self.complain("reverse-of", f"{where}: reverse of {element}")
            if lengths.get(element, length) != length:
                self.complain("reverse-length", f"{where}: element {element} in "
                              f"{lengths[element]} octets, its reverse in {length}")
        if reverse and not iana & KEYS:
            self.complain("reverse-key", f"{where}: a biflow without source or destination")
        if reverse and self.udp and 239 not in iana:
            self.complain("direction", f"{where}: no biflowDirection")

    def judge_habits(self, where, template):
        """What is allowed, and read wrongly somewhere."""
        iana = template.iana()
        reverse = {element for pen, element, _ in template.fields if pen == REVERSE}
        if iana & PORTS and iana & ICMP:
            self.complain("icmp-ports", f"{where}: ports and ICMP type")
        for pen, element, _ in template.fields:
            if pen not in (0, REVERSE) and element in reverse:
                self.complain("number-twice", f"{where}: {pen}/{element}, and the reverse "
                              f"of {element}")
        if iana & {1, 2} and iana & {23, 24, 85, 86, 231, 232, 298, 299}:
            self.complain("two-counters", f"{where}: deltas and other counters")
        if len(iana & set(STARTS)) > 1:
            self.complain("two-times", f"{where}: the start in two units")
        if iana & ADDRESSES and iana & {8, 12} and iana & {27, 28}:
            self.complain("two-times", f"{where}: both families' addresses")

    # -- options templates that report about the exporter

    def judge_report(self, number, template, domain):
        where = f"template {number}"
        scope = {element for pen, element, _ in template.scope() if pen == 0}
        rest = [element for pen, element, _ in template.fields[template.scopes:] if pen == 0]
        has = set(rest)
        if has & (STATISTICS | UNREAD) and 149 not in scope and not domain.number:
            self.complain("report-domain", f"{where}: statistics of no domain")
        if has & LOST and not scope & EXPORTERS:
            self.complain("report-exporter", f"{where}: losses of no exporter")
        if has & (UNREAD | LOST) and sum(e in OBSERVED for e in rest) != 2:
            self.complain("report-times", f"{where}: losses without first and last time")
        if 173 in has and 145 not in scope:
            self.complain("keys-scope", f"{where}: flow keys of no template")
        if {303, 346} & (scope | has) and 339 in has and not {303, 346} <= scope:
            self.complain("type-scope", f"{where}: types of no element")

    # -- definitions

    def define(self, domain, number, template, captured):
        old = domain.templates.get(number)
        if old and old.raw != template.raw:
            self.changed(number, old, template, captured)
        elif old:
            template.time, template.plan = old.time, old.plan
        template.seen = captured
        domain.templates[number] = template

    def changed(self, number, old, new, captured):
        if (old.scopes is None) != (new.scopes is None):
            return self.complain("template-kind", f"{number} is of both kinds")
        if sorted(old.fields) == sorted(new.fields) and old.scopes == new.scopes and old.scopes \
                and sorted(old.scope()) == sorted(new.scope()):
            return self.complain("scope-order", f"template {number}: fields in another order")
        if not self.udp:
            return self.complain("template-changed", f"template {number} is defined anew")
        if None in (captured, old.seen, self.refresh) or \
                captured - old.seen < GENERATIONS * self.refresh:
            return self.complain("template-soon", f"template {number} has changed too soon")
        return None

    def overdue(self, number, template, captured):
        """UDP: what data use has been repeated in time."""
        if None in (captured, template.seen, self.refresh) or not self.udp:
            return
        if captured - template.seen > self.refresh:
            self.complain("refresh", f"template {number} not repeated for "
                          f"{captured - template.seen:.1f} s")
            template.seen = captured
