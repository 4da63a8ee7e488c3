# SPDX-License-Identifier: GPL-2.0-or-later
"""A strict reader of Prometheus' text format, for what ctflowd writes."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
UNITS = ("_bytes", "_seconds", "_ratio", "")
OTHER_UNITS = ("_ms", "_msec", "_us", "_ns", "_kb", "_mb", "_percent", "_minutes")


class Wrong(Exception):
    """Not the format, or not its conventions."""


def _labels(text):
    out, at = {}, 0
    while at < len(text):
        m = LABEL.match(text, at)
        if not m or m[1] in out:
            raise Wrong(f"labels {text!r}")
        out[m[1]] = re.sub(r"\\(.)", lambda e: "\n" if e[1] == "n" else e[1], m[2])
        at = m.end()
    return frozenset(out.items())


def _check_name(name, kind):
    if (kind == "counter") != name.endswith("_total"):
        raise Wrong(f"{name} is a {kind}")
    if name.removesuffix("_total").endswith(OTHER_UNITS):
        raise Wrong(f"{name}: the unit is none of {UNITS}")


def parse(text):
    """{(name, frozenset of labels): value}, or Wrong."""
    samples, helps, kinds, done = {}, {}, {}, set()
    family = None
    if not text.endswith("\n"):
        raise Wrong("the last line has no end")
    for line in text[:-1].split("\n"):
        if m := re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line):
            what, name, rest = m.groups()
            if name != family:
                if name in done or (family and family not in kinds):
                    raise Wrong(f"{name} twice, or {family} without TYPE")
                done.add(name)
                family = name
            table = helps if what == "HELP" else kinds
            if name in table or any(n == name for n, _ in samples):
                raise Wrong(f"a second {what} of {name}, or after its samples")
            if what == "TYPE" and rest not in ("counter", "gauge"):
                raise Wrong(line)
            table[name] = rest
            continue
        m = SAMPLE.fullmatch(line)
        if not m or m[1] != family or m[1] not in kinds:
            raise Wrong(f"{line!r} in family {family}")
        key = m[1], _labels(m[2] or "")
        if key in samples or not re.fullmatch(r"\d+(\.\d+)?", m[3]):
            raise Wrong(f"twice, or no number: {line!r}")
        samples[key] = float(m[3])
        _check_name(m[1], kinds[m[1]])
    missing = set(kinds) - set(helps)
    if missing:
        raise Wrong(f"no HELP of {sorted(missing)}")
    return samples


def value(samples, name, **labels):
    """The one sample of that name with these labels among others."""
    found = [v for (n, have), v in samples.items()
             if n == name and have >= frozenset(labels.items())]
    if len(found) != 1:
        raise Wrong(f"{len(found)} samples of {name} with {labels}")
    return found[0]
