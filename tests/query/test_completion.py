#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bash completes every verb and every option of ctflow; the page has them, too."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import build  # noqa: E402

TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def completed(*words):
    """What bash offers for the last word."""
    script = (f'. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_ctflow "$1"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(
        ["bash", "-c", script, "bash", f"{TREE}/query/completion/ctflow", build("ctflow"), *words],
        text=True, capture_output=True, timeout=300, check=True)
    assert done.stderr == "", done.stderr
    return set(done.stdout.split("\n")) - {""}


def shown(*words):
    return subprocess.run([build("ctflow"), *words], text=True, capture_output=True, timeout=300,
                          check=True).stdout


def main():
    verbs = re.findall(r"^  (\w+) ", shown("--help").split("common options:")[0], re.M)
    assert len(verbs) >= 6 and completed("") == set(verbs), verbs
    assert completed("sh") == {"show"}
    assert completed("-d", "x.db", "--utc", "sh") == {"show"}
    with open(f"{TREE}/man/ctflow.1", encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    for verb in verbs:
        text = shown(verb, "--help")
        options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", text.split("options:", 1)[1]))
        assert {"-d", "--db", "--help"} < options, options
        assert completed(verb, "-") == options, (verb, completed(verb, "-") ^ options)
        assert f"Cm {verb}" in page, f"{verb} is not in ctflow.1"
        for option in options:
            assert f"Fl {option[1:]}" in page, f"{verb} {option} is not in ctflow.1"
    assert completed("show", "--utc", "--ta") == {"--table"}
    assert completed("show", "tcp", "si") == {"since"}
    assert completed("show", "since", "y") == {"yesterday"}
    assert completed("show", "-o", "") == {"table", "json", "ndjson", "csv", "tsv"}
    assert completed("show", "--output", "=", "nd") == {"ndjson"}
    with tempfile.TemporaryDirectory() as tmp:
        open(f"{tmp}/flows.db", "w", encoding="ascii").close()
        assert completed("-d", f"{tmp}/fl") == {f"{tmp}/flows.db"}
    print(f"all options of {len(verbs)} verbs are completed")


if __name__ == "__main__":
    main()
