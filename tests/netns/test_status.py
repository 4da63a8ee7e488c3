#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow status: what it says of a real daemon is so, in words, numbers and exit code.

With traffic, with an output that is away and its queue and spool growing, killed,
hanging, stopped, and for a user who may not read the state page.
"""
import csv
import datetime
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import lab as labs  # noqa: E402
from daemon import Daemon, Failed, build_dir, configuration, until  # noqa: E402

NS, PORT, FLOWS = "status", 5170, 2000
OK, WARNING, CRITICAL, UNKNOWN = range(4)


class Collector:
    """Takes what a JSON output sends, until it goes away in order."""

    def __init__(self, lab):
        self.lines, self.peers = 0, []
        self.door = lab.socket(NS, socket.AF_INET, socket.SOCK_STREAM)
        self.door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.door.bind(("127.0.0.1", PORT))
        self.door.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        try:
            while True:
                peer = self.door.accept()[0]
                self.peers.append(peer)
                threading.Thread(target=self.read, args=(peer,), daemon=True).start()
        except OSError:
            pass

    def read(self, peer):
        try:
            while data := peer.recv(1 << 16):
                self.lines += data.count(b"\n")
        except OSError:
            pass

    def leave(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for peer in self.peers:
            peer.shutdown(socket.SHUT_RDWR)
            peer.close()


class Scene:
    def __init__(self, lab, folder):
        self.lab, self.dir = lab, folder
        os.chmod(folder, 0o755)
        labs.flood_ns(lab, NS)
        lab.sysctl(NS, events=1)
        self.flood = labs.helper("flood", folder)
        sections = {"ct1": "sysctl=ignore\n",
                    "db1": f'db="{folder}/flows.db"\ntable="flows"\n',
                    "json1": f'mode="tcp"\nhost="127.0.0.1"\nport="{PORT}"\n'
                             f'spool_dir="{folder}/spool"\nreconnect=1\n'}
        text = configuration(folder, ["ct1:NFCT,db1:SQLITE3", "ct1:NFCT,json1:JSON"], sections)
        self.text = text.replace("[global]", f'[global]\nmetrics_file="{folder}/x.prom"\n'
                                             "metrics_daemon=gw\nmetrics_interval=1")
        self.daemon = Daemon(lab, NS, folder, self.text)

    def run(self, *more, user=None):
        """The exit code and stdout of ctflow status."""
        argv = [os.path.join(build_dir(), "ctflow"), "status", "-c", self.daemon.conf, *more]
        if user:
            argv = ["setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", *argv]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
        if done.stderr:
            raise Failed(f"status says on stderr: {done.stderr}")
        return done.returncode, done.stdout

    def status(self, *more, user=None):
        """The exit code, and the object with inputs and outputs by their name."""
        code, out = self.run("-o", "json", *more, user=user)
        s = json.loads(out)
        if s["code"] != code:
            raise Failed(f"exit code {code}, but {out}")
        for o in s["inputs"] + s["outputs"]:
            s[o["name"].split(":")[0]] = o
        s["words"] = " | ".join(p["text"] for p in s["problems"])
        return code, s

    def flows(self, n):
        """Connections that have ended."""
        self.lab.run(NS, self.flood, str(n))
        self.lab.run(NS, "conntrack", "-F")


def age(iso):
    """Seconds since then."""
    at = datetime.datetime.fromisoformat(iso.split(".")[0] + "+00:00")
    return time.time() - at.timestamp()


def expect(what, got, want):
    if got != want:
        yield f"{what}: {got}, not {want}"


def never(s):
    code, out = s.run()
    yield from expect("never ran: exit code", code, CRITICAL)
    if not out.startswith("CRITICAL - ") or "never did" not in out:
        yield f"never ran: {out}"


def idle(s):
    until("status to be ok", lambda: s.status()[0] == OK)
    code, now = s.status()
    d = now["daemon"]
    yield from expect("idle", (code, now["status"], now["problems"]), (OK, "ok", []))
    yield from expect("states", [now[k]["state"] for k in ("ct1", "db1", "json1")],
                      ["receives", "up", "up"])
    yield from expect("pid", d["pid"], s.daemon.pid)
    yield from expect("source", (d["source"], d["running"]), ("state page", True))
    if not 0 <= age(d["since"]) < 100 or not d["version"]:
        yield f"since when, which version: {d}"
    if not s.run()[1].startswith("OK - "):
        yield f"first line: {s.run()[1]}"


def traffic(s):
    seen = dict.fromkeys(("ct1", "db1", "json1"), 0)  # rates are those of the last seconds

    def delivered():
        now = s.status()[1]
        for k in seen:
            seen[k] = max(seen[k], now[k]["rate"] or 0)
        return {now[k]["delivered"] for k in ("db1", "json1")} == {FLOWS}
    s.flows(FLOWS)
    until("all to be delivered", delivered)
    code, now = s.status()
    yield from expect("traffic", (code, now["ct1"]["events"], now["ct1"]["lost"]),
                      (OK, FLOWS, 0))
    for k in ("ct1", "db1", "json1"):
        o = now[k]
        if not 0 < o["rate_minute"] <= FLOWS or not 0 < seen[k] <= FLOWS:
            yield f"rates of {k}: {seen[k]}, {o}"
        if not 0 <= age(o["newest"]) < 100:
            yield f"newest of {k}: {o['newest']}"
    yield from expect("lag", (now["db1"]["lag_s"], now["json1"]["lag_s"]), (0, 0))
    db = now["databases"][0]
    if db["gaps_today"] != 0 or not 0 <= age(db["newest"]) < 100 or not 0 <= age(db["alive"]) < 100:
        yield f"database: {db}"
    rows = {r["name"]: r for r in csv.DictReader(io.StringIO(s.run("-o", "csv")[1]))}
    yield from expect("csv", rows["json1:JSON"]["total"], str(FLOWS))
    yield from expect("csv", rows["ct1:NFCT"]["role"], "input")


def waiting(o):
    return o["queue_flows"] + o["spool_flows"]


def away(s, collector):
    collector.leave()
    s.flows(FLOWS)
    until("flows to wait", lambda: waiting(s.status()[1]["json1"]) == FLOWS)
    until("flows on disk", lambda: s.status()[1]["json1"]["spool_bytes"] > 0)
    code, now = s.status()
    o = now["json1"]
    yield from expect("away", (code, o["state"]), (WARNING, "down"))
    if "json1:JSON is down: " not in now["words"] or f"{FLOWS} flows wait" not in now["words"]:
        yield f"away: {now['words']}"
    if "refused" not in (o["why"] or "").lower():
        yield f"why: {o['why']}"
    if not 0 < o["lag_s"] < 100 or now["db1"]["state"] != "up":
        yield f"lag: {now}"
    yield from expect("away in words", s.run()[1].split(" - ")[0], "WARNING")
    before = o["spool_bytes"]
    s.flows(FLOWS)
    until("more to wait", lambda: waiting(s.status()[1]["json1"]) == 2 * FLOWS)
    until("more on disk", lambda: s.status()[1]["json1"]["spool_bytes"] > before)
    until("a lag of a second", lambda: s.status()[1]["json1"]["lag_s"] > 1)
    code, now = s.status("--lag-critical", "1s")
    yield from expect("lag over the limit", (code, now["status"]), (CRITICAL, "critical"))
    if "have waited for it for" not in now["words"]:
        yield f"lag: {now['words']}"


def back(s):
    collector = Collector(s.lab)
    until("the output to be back", lambda: s.status()[0] == OK)
    until("nothing to wait", lambda: waiting(s.status()[1]["json1"]) == 0)
    now = s.status()[1]
    yield from expect("back", (now["json1"]["delivered"], waiting(now["json1"])), (3 * FLOWS, 0))
    collector.leave()


def unprivileged(s):
    """The page is root's; the metrics are for all."""
    until("metrics of now",
          lambda: s.status(user="nobody")[1]["json1"]["state"] == "down")
    yield from expect("metrics", s.status(user="nobody")[1]["db1"]["delivered"], 3 * FLOWS)
    code, now = s.status(user="nobody")
    yield from expect("nobody", (code, now["daemon"]["source"], now["daemon"]["running"]),
                      (WARNING, "metrics_file", True))
    yield from expect("nobody", (now["db1"]["state"], now["json1"]["state"]), ("up", "down"))
    said = [u["text"] for u in now["unread"]]
    if not any("state page" in t and "Permission denied" in t for t in said) or \
            not any("flows.db" in t for t in said):
        yield f"nobody is not told what could not be read: {said}"
    os.chmod(f"{s.dir}/x.prom", 0)
    os.chmod(s.dir, 0o755)
    with open(s.daemon.conf, "w", encoding="utf-8") as f:
        f.write(s.text.replace("metrics_", "# metrics_"))
    yield from expect("nobody, no metrics", s.status(user="nobody")[0], UNKNOWN)


def hanging(s):
    s.daemon.send(signal.SIGSTOP)
    until("silence to be noticed", lambda: s.status()[0] == CRITICAL, step=0.5)
    words = s.status()[1]["words"]
    if "no sign of life" not in words:
        yield f"hangs: {words}"
    s.daemon.send(signal.SIGCONT)
    until("life to be noticed", lambda: s.status()[0] == WARNING)


def killed(s):
    s.daemon.child.kill()
    s.daemon.child.wait()
    code, now = s.status()
    yield from expect("killed", (code, now["daemon"]["running"], now["ct1"]["state"]),
                      (CRITICAL, False, "off"))
    if "ctflowd died" not in now["words"]:
        yield f"killed: {now['words']}"
    s.flows(FLOWS)  # what the guard counts
    s.daemon.start()
    collector = Collector(s.lab)
    until("the gap of the time between", lambda: s.status()[1]["databases"][0]["gaps_today"] > 0)
    until("it to run", lambda: s.status()[1]["json1"]["state"] == "up")
    code, now = s.status()
    yield from expect("gap today", (code, now["databases"][0]["lost_today"]), (WARNING, FLOWS))
    if "gap" not in now["words"] or "flows.db" not in now["words"]:
        yield f"gap today: {now['words']}"
    return collector


def stopped(s, collector):
    collector.leave()
    until("it to be away", lambda: s.status()[1]["json1"]["state"] == "down")
    s.flows(FLOWS)
    until("flows to wait", lambda: waiting(s.status()[1]["json1"]) >= FLOWS)
    all_of_them = waiting(s.status()[1]["json1"])
    s.daemon.stop()
    code, now = s.status()
    yield from expect("stopped", (code, now["daemon"]["running"]), (CRITICAL, False))
    if "was stopped at" not in now["words"]:
        yield f"stopped: {now['words']}"
    if now["json1"]["spool_flows"] != all_of_them or now["json1"]["queue_flows"] is not None or now["json1"]["spool_bytes"] <= 0:
        yield f"what lies on disk: {now['json1']}"


def all_of_it(s):
    yield from never(s)
    collector = Collector(s.lab)
    s.daemon.start()
    yield from idle(s)
    yield from traffic(s)
    yield from away(s, collector)
    yield from back(s)
    yield from unprivileged(s)
    yield from hanging(s)
    collector = yield from killed(s)
    yield from stopped(s, collector)


def main():
    labs.need_root()
    labs.host_lock()
    labs.away_from_midnight(300)  # gaps of today are counted
    with tempfile.TemporaryDirectory() as folder, labs.Lab() as lab:
        wrong = list(all_of_it(Scene(lab, folder)))
    for w in wrong:
        print(f"FAIL: {w}")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failed, labs.LabError, OSError) as e:
        sys.exit(f"FAIL: {e}")
