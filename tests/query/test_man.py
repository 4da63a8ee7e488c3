#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The examples of ctflow(1), each as it stands there: the answer, and a documented exit code."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, TCP, UDP, History, build  # noqa: E402

SOURCE = os.environ.get("srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
NOW = "2026-02-03 15:00:00+00:00"
# A database of its own where the example names none.
SHELL = """ctflow() {
	case " $* " in *" -d "*) command ctflow "$@" ;; *) command ctflow -d flows.db "$@" ;; esac
}
"""
# Of each verb: exit codes, and what is in the answer.
WANT = {"who": ({0}, "ONE.*10\\.0\\.2\\.15"), "show": ({0}, "198\\.51\\.100\\.7"),
        "tail": ({130, -signal.SIGINT}, "10\\.0\\.2\\.16"), "long": ({0}, "10\\.0\\.2\\.17"),
        "open": ({0}, "10\\.0\\.2\\.15"), "top": ({0}, "10\\.0\\.2\\.15"),
        "sum": ({0}, "laptop"), "report": ({0}, "</html>"),
        "export": ({0}, "203\\.0\\.113\\.50"), "gaps": ({0}, "overrun"),
        "status": ({0, 1, 2, 3}, "UNKNOWN|CRITICAL|WARNING|OK"),
        "doctor": ({0, 1, 2}, "[a-z]{4}")}


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * SEC


def flow(made, end, src, dport, **more):
    """One of a minute, unless start says another."""
    values = {"proto": TCP, "src": src, "sport": 32768, "dst": "198.51.100.7", "dport": dport,
              "start": end - 60 * SEC, "end": end, "destroy": end + SEC, "packets": 10,
              "bytes": 1000, "rpackets": 10, "rbytes": 2000, "src_name": "laptop",
              "src_name_ns": end - 100 * SEC, "nat_src": "203.0.113.50", "nat_sport": 32768}
    made.flow(**(values | {"id": len(made.flows) + 1} | more))


def history(path):
    made = History()
    made.coverage(at("2025-12-31 00:00:00"), at("2026-02-03 14:59:59"))
    flow(made, at("2026-01-01 14:33:00"), "10.0.2.15", 53, proto=UDP)
    flow(made, at("2026-01-31 20:00:00"), "10.0.2.17", 22,
         start=at("2026-01-31 10:00:00"))
    flow(made, at("2026-02-02 10:00:00"), "10.0.2.15", 443, bytes=5_000_000)
    made.gap(at("2026-02-02 11:00:00"), at("2026-02-02 11:00:01"), count=3, cause="overrun")
    made.living(at("2026-02-03 14:59:00"), src="10.0.2.15", sport=40000, dst="198.51.100.7",
                dport=443, proto=TCP, start=at("2026-02-03 14:00:00"), id=99)
    made.sweep(at("2026-02-03 14:59:00"))
    made.write(path)


def examples():
    """[(command, lines)]: what stands after the prompt."""
    with open(os.path.join(SOURCE, "man/ctflow.1"), encoding="utf-8") as f:
        text = re.search(r"^\.Sh EXAMPLES\n(.*?)^\.Sh ", f.read(), re.M | re.S)[1]
    for line in re.findall(r"^\.Dl [#$] (.*)$", text, re.M):
        yield line.replace("\\(dq", '"').replace("\\-", "-").replace("\\(aq", "'").replace(
            "\\e", "\\")


def run(line, folder, environment):
    """(exit code, all it has written); what follows goes on until Ctrl-C."""
    with subprocess.Popen(["sh", "-c", SHELL + line], cwd=folder, env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as child:
        said = ""
        if " -f " in line:
            more = History()
            flow(more, at("2026-02-03 14:59:30"), "10.0.2.16", 22, id=1000)
            more.write(f"{folder}/flows.db")
            while "10.0.2.16" not in said:
                said += child.stdout.readline() or exit(f"{line} ended: {said}")
            os.killpg(child.pid, signal.SIGINT)
        said += child.communicate(timeout=120)[0]
    target = re.search(r"(?:> |--html )(\S+)", line.split("'")[-1])
    if target:
        with open(f"{folder}/{target[1]}", encoding="utf-8") as f:
            said += f.read()
    return child.returncode, said


def main():
    problems, seen = [], set()
    with tempfile.TemporaryDirectory() as folder:
        history(f"{folder}/flows.db")
        shutil.copy(f"{folder}/flows.db", f"{folder}/copy.db")
        with open(f"{folder}/bad-addresses.txt", "w", encoding="ascii") as f:
            f.write("192.0.2.1\n198.51.100.7\n")
        environment = os.environ | {"CTFLOW_NOW": NOW, "TZ": "UTC", "PATH":
                                    os.path.dirname(build("ctflow")) + ":" + os.environ["PATH"]}
        for line in examples():
            verb = re.search(r"ctflow (\w+)", line)[1]
            codes, words = WANT[verb]
            code, said = run(line, folder, environment)
            seen.add(verb)
            if code not in codes | ({0} if "|" in line.split("'")[-1] else set()) or not re.search(
                    words, said, re.S):
                problems.append(f"{line}\n  exit code {code}: {said[:1500]}")
    if seen != set(WANT):
        problems.append(f"no example of {set(WANT) - seen}")
    print("\n".join(problems) or f"ok: {len(seen)} verbs")
    return bool(problems)


sys.exit(main())
