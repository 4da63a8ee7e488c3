#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The alert rules: promtool finds nothing wrong, and each of them is seen firing
and not firing on numbers made for it."""
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, "..", "..", "etc", "prometheus", "ctflowd.rules.yml")
CASES = os.path.join(HERE, "rules.test.yml")
ALERT = re.compile(r"^      - alert: (\w+)\n        expr: (.+)$", re.M)
CASE = re.compile(r"^        alertname: (\w+)\n        exp_alerts:( \[\])?$", re.M)


def text(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def promtool(*argv):
    """(does it agree, what it said)"""
    done = subprocess.run(["promtool", *argv], capture_output=True, text=True, check=False,
                          timeout=100)
    return done.returncode == 0, done.stdout + done.stderr


def problems():
    for argv in (("check", "rules", RULES), ("test", "rules", CASES)):
        agrees, words = promtool(*argv)
        if not agrees:
            yield words
    alerts = {m[1] for m in ALERT.finditer(text(RULES))}
    if len(alerts) != text(RULES).count("alert:"):
        yield "a rule does not look as the others do"
    for quiet, what in (("", "firing"), (" []", "not firing")):
        seen = {m[1] for m in CASE.finditer(text(CASES)) if (m[2] or "") == quiet}
        if seen != alerts:
            yield f"never seen {what}: {sorted(alerts - seen)}, unknown: {sorted(seen - alerts)}"


def main():
    if not shutil.which("promtool"):
        print("SKIP: needs promtool")
        sys.exit(77)
    found = list(problems())
    print("\n".join(found) or "PASS")
    sys.exit(bool(found))


main()
