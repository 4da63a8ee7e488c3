#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""The Grafana dashboard is one: panels with ids of their own, side by side and
not over each other, targets that name the data source the reader chooses, and
variables that exist.  That the expressions find what ctflowd writes is shown
with a real Prometheus by tests/interop/test_prometheus.py."""
import json
import os
import re
import sys

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "etc", "grafana",
                    "ctflowd-dashboard.json")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
KINDS = {"stat", "table", "timeseries", "state-timeline"}
WIDTH = 24


def cells(panel):
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])}


def of_layout(panels):
    taken = set()
    if len({p["id"] for p in panels}) != len(panels):
        yield "an id twice"
    for p in panels:
        if not cells(p) or max(x for x, _ in cells(p)) >= WIDTH or min(cells(p)) < (0, 0):
            yield f"{p['title']}: not within the {WIDTH} columns"
        if cells(p) & taken:
            yield f"{p['title']}: over another one"
        taken |= cells(p)


def of_targets(panel):
    refs = [t["refId"] for t in panel["targets"]]
    if not refs or len(set(refs)) != len(refs):
        yield f"{panel['title']}: targets {refs}"
    for t in panel["targets"]:
        if t["datasource"] != SOURCE or t["instant"] == t["range"]:
            yield f"{panel['title']}: {t}"
        if panel["type"] == "table" and t["format"] != "table":
            yield f"{panel['title']}: a table of series"
        labels = set(re.findall(r"\{\{(\w+)\}\}", t["legendFormat"]))
        if labels - {"instance", "daemon", "input", "output"}:
            yield f"{panel['title']}: legend {t['legendFormat']}"


def problems(d):
    if not d["uid"] or not d["title"] or d["schemaVersion"] < 36:
        yield "no uid, no title or an old schema"
    yield from of_layout(d["panels"])
    for p in d["panels"]:
        if p["type"] != "row":
            if p["type"] not in KINDS or p["datasource"] != SOURCE:
                yield f"{p['title']}: {p['type']} of {p['datasource']}"
            yield from of_targets(p)
    known = {v["name"] for v in d["templating"]["list"]}
    if not {"datasource", "instance", "output"} <= known:
        yield f"variables {known}"
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(d)))
    if not used <= known | {"__rate_interval", "__range", "__all"}:
        yield f"unknown variables: {used - known}"


def main():
    with open(FILE, encoding="utf-8") as f:
        found = list(problems(json.load(f)))
    print("\n".join(found) or "PASS")
    sys.exit(bool(found))


main()
