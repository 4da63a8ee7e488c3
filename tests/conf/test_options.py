#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every option of every plugin, and of [global]: its limits, just outside, garbage, twice.

The options are those that -i prints.  A refusal names file, line, option and
what is allowed.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "netns"))

from calls import Suite, call, expect  # noqa: E402
from daemon import text  # noqa: E402

suite = Suite()
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MOST = 2 ** 64 - 1
SECRETS = {"pass", "connstring"}  # no message shows what they say
LINE = re.compile(r"  (?P<name>\w+) +(?P<range>.+?); (?:default (?P<default>\S+); |Mandatory; )")


def plugins():
    source = os.path.join(os.environ.get("srcdir", os.path.join(HERE, "..", "..")), "core")
    known = text("core/known_table.h") or text(f"{source}/known_table.h")
    return [w.upper() for w in re.findall(r"KNOWN\((\w+)\)", known)]


class Option:
    """A line of -i, and values for it."""

    def __init__(self, match):
        self.name, self.range = match["name"], match["range"]
        self.mandatory = match["default"] is None
        bounds = re.search(r", (\w+)\.\.(\w*)", self.range)
        self.low, self.high = bounds.groups() if bounds else ("0", "")

    def kind(self):
        for word in ("text", "number", "size", "time", "yes or no"):
            if self.range.startswith(word):
                return word
        return "choice"

    def number(self, word, default):
        """In bytes, milliseconds or as it is."""
        if not word:
            return default
        if word[-1] in UNITS:
            return int(word[:-1]) * UNITS[word[-1]]
        if self.kind() == "time":
            return int(word[:-2]) if word.endswith("ms") else int(word) * 1000
        return int(word)

    def write(self, n):
        return f"{n}ms" if self.kind() == "time" else str(n)

    def good(self):
        kind = self.kind()
        if kind == "text":
            most = self.number(self.high, 300)
            # Of hosts no name, which a database would be asked for.
            least = "127.0.0.1" if self.name == "host" else "x" * max(1, self.number(self.low, 0))
            return [least, "x" * most]
        if kind == "yes or no":
            return ["no", "yes", "0", "1", "off", "TRUE"]
        if kind == "choice":
            return self.range.split("|")
        return [self.write(self.number(self.low, 0)), self.write(self.number(self.high, MOST))]

    def bad(self):
        kind = self.kind()
        if kind == "text":
            short = ['""'] if self.number(self.low, 0) or "not empty" in self.range else []
            return short + ["x" * (self.number(self.high, 0) + 1)] * bool(self.high)
        if kind == "yes or no":
            return ["maybe"]
        if kind == "choice":
            return ["pigeon", self.range]
        low, high = self.number(self.low, 0), self.number(self.high, MOST)
        return ["pigeon", self.write(low - 1), self.write(high + 1)]


def options(name):
    """(role, options) of a plugin, those of every output with it."""
    done = call("-i", name)
    expect(done.code == 0 and not done.err, done.words)
    role = re.match(r"\S+ \((\w+)\)", done.out)[1]
    part = re.split(r"\n\n?Fields ", done.out)[0]
    found = [Option(m) for m in map(LINE.match, part.splitlines()) if m]
    listed = sum(ln.startswith("  ") for ln in part.splitlines())
    expect(len(found) == listed, f"{name}: {listed} lines, {len(found)} read:\n{part}")
    return role, found


def said(tmp, name, role, entries):
    """[(option, value)] as the plugin's section: what -n says, by line."""
    if name == "global":
        head = f'[r]\nfile="{tmp}/none"\n[o]\nfile="{tmp}/out"\n' \
            "[global]\nstack=r:REPLAY,o:GPRINT\n"
        return of_lines(tmp, head, entries)
    stack = {"input": "x:{},o:GPRINT", "filter": "r:REPLAY,x:{},o:GPRINT",
             "output": "r:REPLAY,x:{}"}[role].format(name)
    head = f'[global]\nstack={stack}\n[r]\nfile="{tmp}/none"\n[o]\nfile="{tmp}/out"\n[x]\n'
    return of_lines(tmp, head, entries)


def of_lines(tmp, head, entries):
    with open(f"{tmp}/conf", "w", encoding="ascii") as f:
        f.write(head + "".join(f"{o.name}={v}\n" for o, v in entries))
    done = call("-n", "-c", f"{tmp}/conf")
    first, lines = head.count("\n") + 1, {}
    for number, words in re.findall(rf"^.*{re.escape(tmp)}/conf:(\d+): (.*)$", done.err, re.M):
        lines.setdefault(int(number) - first, []).append(words)
    return lines


def rounds(per_option):
    """Each option's first values together, then the second, and so on."""
    for i in range(max(map(len, per_option.values()), default=0)):
        yield [(o, values[min(i, len(values) - 1)]) for o, values in per_option.items() if values]


def right(tmp, name, role, found):
    for entries in rounds({o: o.good() for o in found}):
        lines = said(tmp, name, role, entries)
        for i, (o, v) in enumerate(entries):
            refused = [w for w in lines.get(i, []) if "expected" in w or "given again" in w]
            expect(not refused, f"{name}: {o.name}={v[:40]} is refused: {refused}")


def wrong(tmp, name, role, found):
    for entries in rounds({o: o.bad() for o in found}):
        lines = said(tmp, name, role, entries)
        for i, (o, v) in enumerate(entries):
            shown = "..." if o.name in SECRETS else v.strip('"')[:80]
            want = f"{o.name}={shown}: "
            got = [w for w in lines.get(i, []) if w.startswith(want)
                   and w.endswith(f" (expected: {o.range})")]
            expect(got, f"{name}: no '{want}...' in line {i}: {lines}")


def twice(tmp, name, role, found):
    entries = [(o, o.good()[0]) for o in found for _ in range(2)]
    lines = said(tmp, name, role, entries)
    for i, (o, _) in enumerate(entries):
        again = [w for w in lines.get(i, []) if w.startswith(f'"{o.name}" given again, line ')]
        expect(len(again) == i % 2, f"{name}: {o.name} twice: {lines.get(i)}")


def every(check, least):
    def test(tmp):
        seen = 0
        for name in ["global", *plugins()]:
            role, found = options(name)
            check(tmp, name, role, found)
            seen += len(found)
        expect(seen >= least, f"only {seen} options")
        print(f"     {seen} options")
    test.__name__ = check.__name__
    suite(test)


for check in (right, wrong, twice):
    every(check, 130)


@suite
def mandatory(tmp):
    for name in plugins():
        role, found = options(name)
        must = [o.name for o in found if o.mandatory]
        words = " ".join(sum(said(tmp, name, role, []).values(), []))
        missing = [m for m in must if f"[x] must have {m}= (" not in words]
        expect(not missing, f"{name}: {missing} not asked for: {words}")


suite.run()
