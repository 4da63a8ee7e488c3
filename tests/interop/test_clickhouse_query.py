#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow on a real ClickHouse server: the answers of SQLite's files over the same flows.

CTF_SEED and CTF_QUESTIONS ask others, and more.
"""
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "netns")]
import clickhouse_asked as asked  # noqa: E402
import lab as labs  # noqa: E402
from clickhouse import SECRET, Clickhouse  # noqa: E402
from clickhouse_asked import DAY, SEC, T0, at, run  # noqa: E402
from daemon import until  # noqa: E402
from history import build  # noqa: E402
from tls_collector import Authority  # noqa: E402

SEED = int(os.environ.get("CTF_SEED", "20261122"))
QUESTIONS = int(os.environ.get("CTF_QUESTIONS", "40"))
GATEWAYS, FLOWS = 8, 500
USER = """<{0}><password>{1}</password><networks><ip>::/0</ip></networks>
<profile>{0}</profile><quota>default</quota></{0}>"""
CUT = "<max_rows_to_read>100</max_rows_to_read><read_overflow_mode>break</read_overflow_mode>"
PROFILES = {"reader": "<readonly>1</readonly>", "cut": CUT,
            "cutter": "<readonly>1</readonly>" + CUT,
            "loose": "<set_overflow_mode>break</set_overflow_mode>"}


class Fleet:
    """Eight gateways: a file of SQLite each, and one server of all."""

    def __init__(self, tmp, server):
        rng = random.Random(SEED)
        self.tmp, self.url = tmp, f"clickhouse://127.0.0.1:{server.port}/ctflow"
        self.told = [asked.gateway(rng, n, FLOWS) for n in range(GATEWAYS)]
        self.files = [f"{tmp}/{h.exporter}.db" for h in self.told]
        for h, path in zip(self.told, self.files):
            asked.store(h, server.port, path)
            with sqlite3.connect(path) as db:  # sums of flows are asked, not of sweeps
                db.execute("UPDATE meta SET value = '0' WHERE key LIKE 'rollups:%'")
            db.close()


def alike(words, files, url, *options):
    """Both sides say the same; how much it was."""
    a, b = run(files, *words), run([url], *options, *words)
    verb = [w for w in words if not str(w).startswith("-")][0]
    assert a.returncode < 4, (words, a.stderr)
    assert a.returncode == b.returncode, (words, a.returncode, b.returncode, b.stderr, a.stdout)
    x, y = asked.plain(verb, a.stdout), asked.plain(verb, b.stdout)
    assert x == y, f"{words}:\n{str(x)[:3000]}\n{str(y)[:3000]}"
    return len(x["matches"] if isinstance(x, dict) else x)


def same_flows(fleet):
    """Of all gateways together, and of some."""
    rng, some = random.Random(SEED + 1), 0
    for i in range(QUESTIONS):
        words = asked.flows_asked(rng) if i % 2 else asked.sums_asked(rng)
        few = rng.sample(range(GATEWAYS), rng.randrange(1, 4)) if i % 3 == 0 else []
        some += alike(words, [fleet.files[n] for n in few] or fleet.files, fleet.url,
                      *(w for n in few for w in ("--exporter", fleet.told[n].exporter))) > 0
    assert some > QUESTIONS // 3, some
    # both beside each other
    flows = [json.loads(run(d, "sum", "where", "tcp").stdout)[0]["flows"]
             for d in ([fleet.files[0]], [fleet.url], [fleet.files[0], fleet.url])]
    assert flows[2] == flows[0] + flows[1] > flows[1] > flows[0] > 0, flows
    rows = json.loads(run([fleet.files[1], fleet.url], "show", "udp", "limit", 60).stdout)
    assert {r["exporter"] for r in rows} >= {None, "gw1"}, rows
    assert [r["at"] for r in rows] == sorted(r["at"] for r in rows)
    assert alike(["gaps"], fleet.files, fleet.url) > 3
    assert alike(["open"], fleet.files, fleet.url) > 20


def same_who(fleet):
    """A gateway by itself: the very verdict, its reasons and its matches."""
    rng, seen = random.Random(SEED + 2), set()
    for _ in range(QUESTIONS // 2):
        n = rng.randrange(GATEWAYS)
        words = asked.who_asked(rng, fleet.told[n].flows)
        alike(words, [fleet.files[n]], fleet.url, "--exporter", fleet.told[n].exporter)
        seen.add(run([fleet.files[n]], *words).returncode)
    assert seen >= {0, 2, 3}, seen


def who_of_all(fleet):
    """NONE only if it is that everywhere; matches are those of all; hosts are apart."""
    rng = random.Random(SEED + 3)
    several = 0
    for _ in range(6):
        words = asked.who_asked(rng, fleet.told[rng.randrange(GATEWAYS)].flows)
        whole = json.loads(run([fleet.url], *words).stdout)
        each = [json.loads(run([f], *words).stdout) for f in fleet.files]
        assert (whole["verdict"] == "NONE") == all(e["verdict"] == "NONE" for e in each), words
        assert whole["hosts"] == sum(e["hosts"] for e in each), words
        want = sorted((h.exporter, m["start"] or "", m["src"], m["id"])
                      for h, e in zip(fleet.told, each) for m in e["matches"])
        assert sorted((m["exporter"], m["start"] or "", m["src"], m["id"])
                      for m in whole["matches"]) == want, words
        several += len({w[0] for w in want}) > 1
    assert several, "no question was about several gateways"
    never = run([fleet.url], "who", "192.0.2.9:9", "at", at(T0 + 3600 * SEC))
    assert never.returncode == 3, never.stdout  # no sweep has shown what lives


def proof_fill(server):
    """a and b prove what they say; c has no sweep, d lost some, e says nothing at all."""
    for name in "abcde":
        h = asked.History()
        h.exporter = name
        for day in range(4):
            start = T0 + day * DAY
            h.flow(src="10.0.0.5" if name == "e" else "10.0.0.1", dst="192.0.2.1", proto=6,
                   sport=1, dport=2, start=start, end=start + SEC, destroy=start + SEC, id=7)
        if name != "e":
            h.coverage(asked.FROM, asked.UPTO, to_ns=asked.UPTO, exporter=name)
        if name == "d":
            h.gap(T0 + 3590 * SEC, T0 + 3610 * SEC, cause="overflow", count=1)
        for minute in range(0, 600, 15) if name in "abd" else ():
            h.sweep(T0 + minute * 60 * SEC, previous_ns=T0 + (minute - 15) * 60 * SEC,
                    min_age_ns=0, complete=1)
        lines = "".join(line + "\n" for line in h.told)
        done = subprocess.run([build("tests/query/history_clickhouse"),
                               f"127.0.0.1:{server.port}", "--exporter", name, "--db", "proof",
                               "--create", "yes"], input=lines, text=True, check=False,
                              capture_output=True, timeout=asked.TIMEOUT)
        assert done.returncode == 0, done.stdout
    return f"clickhouse://127.0.0.1:{server.port}/proof"


NOBODY = ("who", "203.0.113.77:7", "tcp", "at", at(T0 + 3600 * SEC))


def none_is_proven(server):
    """Each exporter must prove it; one that does not spoils it, unless it is left out."""
    url = proof_fill(server)
    proven = json.loads(run([url], "--exporter", "a", "--exporter", "b", *NOBODY).stdout)
    assert proven["verdict"] == "NONE" and proven["certain"] and proven["proven"], proven
    spoilt = json.loads(run([url], *NOBODY).stdout)
    assert spoilt["verdict"] == "UNKNOWN", spoilt
    assert {r["text"][:3] for r in spoilt["reasons"]} == {"c: ", "d: ", "e: "}, spoilt["reasons"]
    # the same flow id of two gateways are two flows, and two hosts
    both = json.loads(run([url], "who", "10.0.0.1:1", "at", at(T0)).stdout)
    assert sorted(m["exporter"] for m in both["matches"]) == ["a", "b", "c", "d"], both
    assert both["verdict"] == "SEVERAL" and both["hosts"] == 4
    # a gateway that stopped has not seen what came later
    later = run([url], "--exporter", "a", "who", "203.0.113.77:7", "at", at(asked.UPTO + SEC))
    assert later.returncode == 3 and "c: " not in later.stdout, later.stdout
    early = json.loads(run([url], "--exporter", "a", "who", "203.0.113.77:7", "at",
                           at(asked.FROM - 86400 * SEC)).stdout)
    assert early["verdict"] == "UNKNOWN", early
    days_dropped(server, url)


def days_dropped(server, url):
    """That is without a word there: then nothing is proven of before."""
    def verdict(change):
        if change:
            server.sql(f"{change[0]} TABLE proof.flows_raw {change[1]}")
        told = json.loads(run([url], "--exporter", "a", "--exporter", "b", *NOBODY).stdout)
        gone = "deleted by retention" in {r["why"] for r in told["reasons"]}
        assert gone == (told["verdict"] == "UNKNOWN"), told
        return told["verdict"]

    days = [time.strftime("%Y%m%d", time.gmtime(T0 // SEC + n * 86400)) for n in range(4)]
    # flows of clocks that were wrong, years before and after
    server.sql("INSERT INTO proof.flows_raw (at_ns, exporter) VALUES (5, 'a'),"
               f" ({T0 + 4000 * DAY}, 'a')")
    assert verdict(None) == "NONE"
    for day in days[1:]:  # a flow of then may have ended on any day after
        assert verdict(("ALTER", f"DETACH PARTITION {day}")) == "UNKNOWN", day
        assert verdict(("ALTER", f"ATTACH PARTITION {day}")) == "NONE", day
    assert verdict(("ALTER", f"DROP PARTITION {days[0]}")) == "UNKNOWN"
    assert verdict(("TRUNCATE", "")) == "UNKNOWN"


def again_without_start(tmp, server):
    """No timestamps of the kernel: what ended and what came after it have one id."""
    h = asked.History()
    h.exporter = "unstamped"
    same = {"src": "10.0.0.9", "dst": "192.0.2.123", "proto": 17, "sport": 123, "dport": 123,
            "id": 77}
    for n in range(3):  # seen, ended; the third goes on
        begun = T0 + n * 64 * SEC
        h.living(begun + SEC, **same)
        h.sweep(begun + 2 * SEC, previous_ns=begun - 62 * SEC, min_age_ns=0, complete=1)
        h.commit()
        if n < 2:
            h.flow(**same, destroy=begun + 30 * SEC)
        h.coverage(T0, begun + 60 * SEC, exporter=h.exporter)
        h.commit()
        path = f"{tmp}/unstamped.db"
        asked.store(h, server.port, path)
        url = f"clickhouse://127.0.0.1:{server.port}/ctflow"
        for words, want in ((("open",), n == 2), (("show", "udp"), min(n + 1, 2))):
            got = alike(words, [path], url, "--exporter", h.exporter)
            assert got == want, (n, words, got)


def evidence(fleet):
    f = next(f for f in fleet.told[3].flows if f.get("nat_sport") and f.get("start"))
    words = ("who", f"{f['nat_src']}:{f['nat_sport']}", "at", at(f["start"]))
    path = f"{fleet.tmp}/evidence"
    told = run([fleet.url], *words, "--evidence", path, fmt="table")
    assert f["src"] in told.stdout and "gw3 " in told.stdout, told
    with open(path, encoding="utf-8") as lines:
        text = lines.read()
    assert f"server: {fleet.url}" in text and "exporter: gw7" in text, text
    assert f"exporter=gw3 at_ns={f['destroy']} " in text, text
    assert run([], "who", "--verify", path).returncode == 0


def long_lists(fleet):
    """10,000 addresses and ranges of both families out of a file; hundreds of ports."""
    rng = random.Random(SEED + 4)
    words = {f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(256)}"
             for _ in range(8000)} | {f"fd00:{n:x}::/{rng.randrange(32, 64)}" for n in range(900)}
    words |= {f"172.{rng.randrange(256)}.{n}.0/{rng.randrange(20, 31)}" for n in range(200)}
    words |= {f"10.0.0.{n}" for n in range(2, 20, 3)} | {"fd00::1", "fd00::2/127", "198.51.96.0/21"}
    path = f"{fleet.tmp}/addresses"
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(sorted(words)) + "\n")
    ports = ", ".join(str(n) for n in range(1, 65000, 7))
    for expr in (f"src host in @{path}", f"not (nat dst host in @{path})", f"port in {{{ports}}}",
                 f"host in @{path} and not (dst port in {{{ports}}})"):
        assert alike(["show", expr], fleet.files[:2], fleet.url, "--exporter", "gw0",
                     "--exporter", "gw1") > 10, expr


def refused(url, *words, env=None, want=4):
    """What it says of what is wrong: one line."""
    done = run([url], *(words or ("show", "tcp")), env=env)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == want and len(lines) == 1, (url, done)
    return lines[0]


def mistakes(fleet, server):
    host = f"127.0.0.1:{server.port}"
    assert "refused" in refused(f"clickhouse://gateway@{host}/ctflow",
                                env={"CLICKHOUSE_PASSWORD": "wrong"})
    assert "refused" in refused(f"clickhouse://nobody@{host}/ctflow")
    secret = f"{fleet.tmp}/secret"
    with open(secret, "w", encoding="ascii") as f:
        f.write(SECRET + "\n")
    url = f"clickhouse://reader@{host}/ctflow?password_file={secret}&timeout=60s"
    for words in (("top", 3, "src"), ("show", f"src host in @{fleet.tmp}/addresses", "limit", 2)):
        done = run([url], *words)  # it may only read, and not set anything
        assert done.returncode == 0, done.stderr
    # a profile that cuts answers: heard of, or refused; and one that does not
    cut = {user: f"clickhouse://{user}@{host}/ctflow?password_file={secret}" for user in PROFILES}
    assert "Limit for rows" in refused(cut["cut"], "sum")
    assert "setting read_overflow_mode leaves rows out" in refused(cut["cutter"], "sum")
    assert run([cut["loose"]], "sum").stdout == run([fleet.url], "sum").stdout
    assert SECRET not in refused(f"clickhouse://reader:{SECRET}@{host}/ctflow", want=64)
    assert "password_file" in refused(f"clickhouse://{host}/ctflow?x=1", want=64)
    assert "is missing" in refused(f"clickhouse://{host}/", want=64)
    assert "is %23 here" in refused(f"clickhouse://{host}/ctflow#x", want=64)
    assert "no such database" in refused(f"clickhouse://{host}/nowhere")
    assert "no history" in refused(f"clickhouse://{host}/default")
    server.sql("CREATE DATABASE newer")
    server.sql("CREATE TABLE newer.meta AS ctflow.meta")
    server.sql("INSERT INTO newer.meta VALUES ('format', 'ctflowd'), ('version', '99')")
    assert "newer version of ctflowd (schema 99" in refused(f"clickhouse://{host}/newer")
    assert "gw0, gw1" in refused(fleet.url, "--exporter", "gw99", "show")
    assert "not offered on a server" in refused(fleet.url, "tail")
    assert "is of one" in refused(fleet.files[0], "--exporter", "gw0", "show", want=64)
    assert "--exporter" in run([], "doctor", "--exporter", "gw0").stderr
    assert "--names" in refused(fleet.url, "top", "src", "--names", want=64)
    assert "--table" in refused(fleet.url, "--table", "flows", "show", want=64)
    nobody = socket.create_server(("127.0.0.1", 0))
    away = nobody.getsockname()[1]
    nobody.close()
    assert f"127.0.0.1:{away}" in refused(f"clickhouse://127.0.0.1:{away}/ctflow")
    assert "ctflowd-clickhouse" in refused(fleet.url, env={"CTFLOW_MODULE": "/nonexistent.so"})


def over_tls(fleet, server, ca):
    """Its certificate is verified, and the name in it."""
    url, words = f"clickhouses://127.0.0.1:{server.tls}/ctflow", ("top", 5, "src")
    done = run([f"{url}?ca={ca.ca}"], *words)
    assert done.returncode == 0 and done.stdout == run([fleet.url], *words).stdout, done
    assert "certificate" in refused(url)
    assert "localhost" in refused(f"clickhouses://localhost:{server.tls}/ctflow?ca={ca.ca}")
    assert f"127.0.0.1:{server.tls}" in refused(f"clickhouse://127.0.0.1:{server.tls}/ctflow")
    # ca= is instead of the system's authorities
    system, other = f"{fleet.tmp}/certs", Authority(fleet.tmp, "other")
    os.mkdir(system)
    shutil.copy(ca.ca, system)
    subprocess.run(["openssl", "rehash", system], check=True, timeout=300)
    shutil.copy(other.ca, f"{system}/ca-certificates.crt")
    for more, code in (("", 0), (f"?ca={other.ca}", 4)):
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/ssl/certs && exec "$@"', system,
             build("ctflow"), "-d", url + more, *map(str, words)], text=True, check=False,
            capture_output=True, env=os.environ | asked.module(), timeout=asked.TIMEOUT)
        assert done.returncode == code and ("certificate" in done.stderr) == bool(code), done


def head(size=None, status="200 OK"):
    length = f"Content-Length: {size}\r\n" if size is not None else "Connection: close\r\n"
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{length}\r\n".encode()


TOLD = (b'{"meta":[{"name":"max(equals(name, \'readonly\'))","type":"UInt8"}],'
        b'"data":[[1,0,"readonly"]],"rows":1}')
FALSE = {  # what a server may say, and the words for it
    head(None, "500 Internal Server Error") + b"oops": "answers 500",
    head(None, "500 Error") + b"Code: 241, e.displayText() = DB::Exception: Memory limit":
        "Memory limit",
    head(None) + b"": "cut off",
    head(len(TOLD)) + TOLD[:-30]: "127.0.0.1",
    head(None) + TOLD[:-1]: "cut off",
    head(None) + TOLD[:-2] + b"3}": "not whole",
    head(None) + TOLD[:-11] + b"}": "not",
    head(None) + TOLD[:60] + b"Code: 395, e.displayText() = DB::Exception: it broke off": "broke",
    head(None) + b"<html>hello</html>": "not an answer",
    head(None) + TOLD + b"x": "not an answer",
    head(None) + TOLD.replace(b'[1,0,', b'[1,'): "not an answer",
    head(None) + TOLD.replace(b'"readonly"', b'"\\q"'): "not an answer",
    head(None) + b'{"x":' + b"[" * 100000: "not an answer",
    head(None) + b'{"x":"' + b"y" * (3 << 20): "without end",
    head(None) + b" " * (3 << 20): "without end",
    head(None) + b'{"data":[["' + b"\\n" * (3 << 20): "without end",
    b"SSH-2.0-OpenSSH_9.2\r\n" + b"\0" * 100: "127.0.0.1",
}


class False_(threading.Thread):
    """A server that gives one answer to everybody, or none."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer, self.open = answer, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"clickhouse://127.0.0.1:{self.socket.getsockname()[1]}/ctflow"
        self.start()

    def run(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            client.recv(65536)
            self.open.append(client)
            if self.answer is None:
                continue
            try:
                client.sendall(self.answer)
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            client.close()


def false_servers():
    for answer, words in FALSE.items():
        said = refused(False_(answer).url)
        assert words in said, (answer[:100], said)
    silent = False_(None)
    assert "no answer for 1 s" in refused(silent.url + "?timeout=1s")
    before = len(silent.open)
    with subprocess.Popen([build("ctflow"), "-d", silent.url, "show"], stderr=subprocess.PIPE,
                          env=os.environ | asked.module()) as p:
        until("it to ask", lambda: len(silent.open) > before)
        p.send_signal(signal.SIGINT)
        assert p.wait(150) == 130


def ask(tmp, server, ca):
    path = f"{server.dir}/users.xml"
    with open(path, encoding="ascii") as f:
        text = f.read()
    text = text.replace("<default/></profiles>", "<default/>" + "".join(
        f"<{name}>{has}</{name}>" for name, has in PROFILES.items()) + "</profiles>")
    server.write("users.xml", text.replace("</users>", "".join(
        USER.format(name, SECRET) for name in PROFILES) + "</users>"))
    server.restart()
    fleet = Fleet(tmp, server)
    for scene in (lambda: same_flows(fleet), lambda: same_who(fleet),
                  lambda: who_of_all(fleet), lambda: none_is_proven(server),
                  lambda: again_without_start(tmp, server), lambda: evidence(fleet), lambda: long_lists(fleet),
                  lambda: mistakes(fleet, server), lambda: over_tls(fleet, server, ca),
                  false_servers):
        began = time.monotonic()
        scene()
        print(f"{time.monotonic() - began:.1f} s", flush=True)


def main():
    if not shutil.which("clickhouse-server"):
        labs.skip("needs clickhouse-server")
    with tempfile.TemporaryDirectory() as tmp:
        ca = Authority(tmp, "ca")
        cert, key = ca.sign("server", "IP:127.0.0.1")
        with Clickhouse(tmp, tls={"cert": cert, "key": key, "ca": ca.ca}) as server:
            ask(tmp, server, ca)
    return 0


if __name__ == "__main__":
    sys.exit(main())
