# SPDX-License-Identifier: GPL-2.0-or-later
"""Part of ipfix_check.py: data records and their values."""
from ipfix_elements import (BIB_EVENTS, DESTINATIONS, NAT_FIELDS, OBSERVED, PORT_EVENTS, RANGES,
                            REVERSE, SESSION_EVENTS, STARTS, TYPE_OF, VARIABLE)
from ipfix_rules import Checks

DAY = 86400
NTP_EPOCH = 2_208_988_800
YEAR_2000 = 946_684_800
CLOCKS = {"seconds": ("seconds", 1), "ms": ("milliseconds", 1000),
          "us": ("microseconds", None), "ns": ("nanoseconds", None)}
JUDGED = {"bool", "string"} | set(CLOCKS)


def number(raw):
    return int.from_bytes(raw, "big")


class Records(Checks):
    """Data Sets."""

    def data_set(self, domain, set_id, content, time, captured):
        """How many records."""
        template = domain.templates.get(set_id)
        if template is None:
            if set_id in domain.withdrawn:
                self.complain("data-withdrawn", f"data of {set_id}, which was withdrawn")
            elif not self.late:
                self.complain("data-unknown", f"data of {set_id} before its template")
            domain.uncounted = True
            return 0
        if time < template.time:
            self.complain("data-older", f"data of {set_id} are older than its template")
        self.overdue(set_id, template, captured)
        at = records = 0
        while template.smallest and len(content) - at >= template.smallest:
            end = self.record(domain, set_id, template, content, at, time)
            if end is None:
                return records
            at = end
            records += 1
            domain.sent[42] += template.scopes is None
        if not records:
            self.complain("set-record", f"set {set_id} has no record")
        elif any(content[at:]):
            self.complain("padding", f"set {set_id} ends in a part of a record")
        return records

    def make_plan(self, template):
        """(place, pen, element, length, type) of the values that are judged."""
        plan, at = [], 0
        for pen, element, length in template.fields:
            kind = TYPE_OF.get(element) if pen in (0, REVERSE) else \
                self.types.get((pen, element), [None])[0]
            if kind in JUDGED or pen == 0 and element in RANGES:
                plan.append((at, pen, element, length, kind))
            at += length
        return plan

    def record(self, domain, set_id, template, content, at, time):
        """Judges one; where it ends."""
        if not template.fixed or template.scopes is not None:
            return self.slowly(domain, set_id, template, content, at, time)
        if template.plan is None:
            template.plan = self.make_plan(template)
        found = {}
        for place, pen, element, length, kind in template.plan:
            n = number(content[at + place:at + place + length])
            self.value(set_id, pen, element, kind, n)
            if kind in CLOCKS:
                self.clock(set_id, element, kind, n, time)
            if pen == 0:
                found[element] = n
        self.flow(set_id, template, found, domain)
        return at + template.smallest

    def slowly(self, domain, set_id, template, content, at, time):
        """Values of their own lengths, and options."""
        values = []
        for pen, element, length in template.fields:
            if length == VARIABLE:
                length = content[at] if at < len(content) else 255
                at += 1
                if length == 255:
                    length = number(content[at:at + 2]) if len(content) - at >= 2 else 65536
                    at += 2
            if length > len(content) - at:
                return self.complain("record-cut", f"set {set_id}: a record is cut")
            values.append((pen, element, bytes(content[at:at + length])))
            at += length
        self.values(set_id, values, time)
        found = {element: number(raw) for pen, element, raw in values if pen == 0}
        if template.scopes is None:
            self.flow(set_id, template, found, domain)
        else:
            self.report(domain, set_id, template, values)
        return at

    def values(self, set_id, values, time):
        for pen, element, raw in values:
            kind = TYPE_OF.get(element) if pen in (0, REVERSE) else \
                self.types.get((pen, element), [None])[0]
            if kind == "string":
                try:
                    raw.decode()
                except UnicodeDecodeError:
                    self.complain("text", f"set {set_id}: element {element} is not UTF-8")
                continue
            self.value(set_id, pen, element, kind, number(raw))
            if kind in CLOCKS:
                self.clock(set_id, element, kind, number(raw), time)

    # -- single values

    def value(self, set_id, pen, element, kind, n):
        if kind == "bool" and n not in (1, 2):
            self.complain("boolean", f"set {set_id}: boolean {element} is {n}")
        if pen == 0 and element in RANGES:
            low, high = RANGES[element]
            if not low <= n <= high:
                self.complain("range", f"set {set_id}: element {element} is {n}")

    def clock(self, set_id, element, kind, n, time):
        """Times are between 2000 and tomorrow."""
        rule, unit = CLOCKS[kind]
        seconds = n / unit if unit else (n >> 32) - NTP_EPOCH
        if not YEAR_2000 <= seconds <= time + DAY:
            self.complain(rule, f"set {set_id}: element {element} is {n}")
        if kind == "us" and n & 0x7FF:
            self.complain("microseconds-low", f"set {set_id}: element {element} is finer "
                          "than its unit")

    # -- records of flows and events

    def flow(self, set_id, template, found, domain):
        for start, end in STARTS.items():
            if found.get(end, 1 << 64) < found.get(start, 0):
                self.complain("start-end", f"set {set_id}: the end is before the start")
        if 230 in found:
            self.nat_event(set_id, template, found[230], domain)
        if self.file:
            self.in_window(set_id, found)

    def nat_event(self, set_id, template, event, domain):
        has = template.iana()
        where = f"set {set_id}: natEvent {event}"
        if event in (1, 2):
            self.complain("nat-historic", f"{where} is historic")
        missing = NAT_FIELDS.get(event, set()) - has
        if missing or not has & OBSERVED:
            self.complain("nat-fields", f"{where} without {sorted(missing) or 'time'}")
        if event in PORT_EVENTS and 362 not in has and 361 in has:
            self.complain("nat-ports", f"{where} without the end of the range")
        if self.no_destinations and has & DESTINATIONS:
            self.complain("nat-destination", f"{where} tells the destination")
        for one, other in ((SESSION_EVENTS, BIB_EVENTS), (BIB_EVENTS, SESSION_EVENTS)):
            if event in one and domain.nat_events & other:
                self.complain("nat-both", f"{where}: sessions and bindings")
        domain.nat_events.add(event)
