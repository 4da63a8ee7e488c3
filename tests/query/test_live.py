#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ctflow beside a writer: tail, Ctrl-C, pipes, terminals, other users."""
import json
import os
import pty
import random
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import time
import fcntl

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from history import SEC, T0, build, ctflow, random_flow, random_history  # noqa: E402


class Writer:
    """The SQLITE3 plugin in a process of its own, told line by line."""

    def __init__(self, path):
        self.proc = subprocess.Popen([build("tests/query/history"), path],
                                     stdin=subprocess.PIPE, text=True,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def flow(self, **values):
        self.say("flow " + " ".join(f"{k}={v}" for k, v in values.items()))

    def say(self, line):
        self.proc.stdin.write(line + "\n")

    def commit(self):
        self.say("commit")
        self.proc.stdin.flush()

    def kill(self):
        self.proc.kill()
        self.proc.wait()

    def end(self):
        self.proc.stdin.close()
        assert self.proc.wait(300) == 0


def until(what, test, seconds=100):
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, what
        time.sleep(0.05)


class Tail:
    """ctflow tail -f -o ndjson, read as it comes."""

    def __init__(self, path, *words):
        self.proc = subprocess.Popen(
            [build("ctflow"), "-d", path, "tail", "-f", "-o", "ndjson", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
        self.text = b""

    def rows(self):
        while select.select([self.proc.stdout], [], [], 0)[0]:
            more = os.read(self.proc.stdout.fileno(), 65536)
            if not more:
                break
            self.text += more
        return [json.loads(line) for line in self.text.split(b"\n")[:-1]]

    def wait_for(self, n):
        until(f"{n} rows, {len(self.rows())} came", lambda: len(self.rows()) >= n)


def tail(tmp):
    path, rng, ids = f"{tmp}/tail.db", random.Random(3), iter(range(1, 10 ** 6))
    writer, at = Writer(path), T0

    def more(n, back=0):
        nonlocal at
        told = []
        for _ in range(n):
            at += rng.randrange(SEC // 50)
            flow = random_flow(rng, at - rng.randrange(back + 1)) | {"id": next(ids)}
            writer.flow(**flow)
            told.append(flow)
        writer.commit()
        return told

    told = more(30)
    until("the first rows", lambda: os.path.exists(path) and
          ctflow(path, "show", want=None, fmt="csv").count("\n") == 31)
    both = Tail(path), Tail(path, "-n", "1", "udp", "or", "dst port 80")
    both[0].wait_for(10)
    both[1].wait_for(1)
    assert [r["id"] for r in both[0].rows()] == [
        f["id"] for f in sorted(told, key=lambda f: f["destroy"])[-10:]]
    time.sleep(0.5)
    new = []
    for _ in range(12):  # some of them late
        new += more(25, back=9 * SEC)
        time.sleep(0.1)
    both[0].wait_for(310)
    time.sleep(0.6)
    got = [r["id"] for r in both[0].rows()[10:]]
    assert sorted(got) == sorted(f["id"] for f in new), (len(got), len(set(got)), len(new))
    some = [f["id"] for f in new if f["proto"] == 17 or f["dport"] == 80]
    both[1].wait_for(1 + len(some))
    assert sorted(r["id"] for r in both[1].rows()[1:]) == sorted(some)
    late = [random_flow(rng, at - back * SEC) | {"id": next(ids)}
            for back in (16, 40, 300, 3500)]
    for flow in late:  # nobody saw them end
        writer.flow(**flow)
    writer.commit()
    both[0].wait_for(314)
    assert sorted(r["id"] for r in both[0].rows()[310:]) == [f["id"] for f in late]
    # the daemon ends, another begins
    writer.end()
    time.sleep(0.5)
    writer = Writer(path)
    new = more(20)
    both[0].wait_for(334)
    assert sorted(r["id"] for r in both[0].rows()[314:]) == sorted(f["id"] for f in new)
    both[0].proc.send_signal(signal.SIGINT)
    assert both[0].proc.wait(100) == 130, both[0].proc.returncode
    assert both[0].proc.stderr.read() == b"" and both[0].text.endswith(b"}\n")
    both[1].proc.stdout.close()  # nobody reads: it ends without a word
    assert both[1].proc.wait(100) != 0 and both[1].proc.stderr.read() == b""
    writer.end()


def interrupted(path):
    """No half lines, whenever it is stopped; a reader that leaves is no matter."""
    for fmt in ("csv", "json"):
        proc = subprocess.Popen([build("ctflow"), "-d", path, "show", "-o", fmt],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        text = proc.stdout.read(100000)
        proc.send_signal(signal.SIGINT)
        text += proc.stdout.read()
        assert proc.wait(300) == 130 and proc.stderr.read() == b"", fmt
        lines = text.decode().splitlines()
        if fmt == "json":
            assert len(json.loads(text)) > 100
        else:
            assert text.endswith(b"\n") and 100 < len(lines) < 50001, len(lines)
            assert {line.count(",") for line in lines} == {lines[0].count(",")}
    proc = subprocess.Popen([build("ctflow"), "-d", path, "export"], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    proc.stdout.readline()
    proc.stdout.close()
    assert proc.stderr.read() == b"" and proc.wait(300) != 0


def on_terminal(path, width, *words, env=()):
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 25, width, 0, 0))
        os.environ.update({"TERM": "xterm"} | dict(env))
        os.execv(build("ctflow"), ["ctflow", "-d", path, *words])
    text = b""
    while True:
        try:
            more = os.read(fd, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    os.close(fd)
    assert os.waitpid(pid, 0)[1] == 0, text
    return text.decode().replace("\r\n", "\n")


def terminal(path):
    wide = on_terminal(path, 250, "show", "limit", "5")
    assert wide.startswith("\033[1mSTART") and "NAT SOURCE" in wide, wide
    narrow = on_terminal(path, 105, "show", "limit", "5", "--color=never")
    assert "\033" not in narrow and "DESTINATION" in narrow, narrow
    assert "NAT SOURCE" not in narrow, narrow
    assert "\033" not in on_terminal(path, 250, "show", "limit", "2", env={"NO_COLOR": "1"}.items())
    assert "\033[1m" in ctflow(path, "show", "limit", 2, "--color=always", fmt="table")
    assert "\033" not in ctflow(path, "show", "limit", 2, fmt="table")


def progress(path):
    """What takes more than a second says so on a terminal, and cleans up after itself."""
    master, slave = os.openpty()
    proc = subprocess.Popen([build("ctflow"), "-d", path, "export"], stdout=subprocess.PIPE,
                            stderr=slave)
    os.close(slave)
    lines = proc.stdout.read(1000)
    time.sleep(1.3)
    lines += proc.stdout.read()
    assert proc.wait(300) == 0
    text = os.read(master, 65536).decode()
    os.close(master)
    assert "\r\033[Klooking at 2026-11-2" in text and text.endswith("\r\033[K"), text
    assert lines.count(b"\n") > 30000 and b"\033" not in lines


def beside_writer(tmp):
    """A question that is under way does not hold up the writer, and sees no half of it."""
    path = f"{tmp}/busy.db"
    writer, rng = Writer(path), random.Random(4)
    writer.say(f"fill count=30000 from={T0} to={T0 + 3600 * SEC} seed=1")
    writer.commit()
    until("rows", lambda: os.path.exists(path) and
          ctflow(path, "show", want=None, fmt="csv").count("\n") == 30001)
    slow = subprocess.Popen([build("ctflow"), "-d", path, "export"], stdout=subprocess.PIPE)
    first = slow.stdout.read(1000)  # it stands in the middle now
    for n in range(5):
        writer.flow(**random_flow(rng, T0 + (4000 + n) * SEC))
        writer.commit()
        until("a commit beside a reader",
              lambda want=30002 + n: ctflow(path, "show", fmt="csv").count("\n") == want)
    rest = slow.stdout.read()
    assert slow.wait(300) == 0 and (first + rest).count(b"\n") == 30001
    # killed: what it left behind is readable
    writer.kill()
    assert os.path.getsize(path + "-wal") > 0
    assert ctflow(path, "show", fmt="csv").count("\n") == 30006
    return path


def as_nobody(*words):
    return subprocess.run(["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                           *words], text=True, capture_output=True, timeout=300, check=False)


def other_user(tmp, path):
    """Another user of the file's group; the program is where it can be run."""
    if os.geteuid() != 0:
        print("not root: not tried as another user")
        return
    os.chmod(tmp, 0o755)
    os.makedirs(f"{tmp}/theirs")
    program = shutil.copy(build("ctflow"), f"{tmp}/ctflow")
    os.chmod(program, 0o755)
    file = f"{tmp}/theirs/flows.db"

    def give(mode):
        os.chmod(f"{tmp}/theirs", 0o750)
        for f in [f"{tmp}/theirs"] + [file + s for s in ("", "-wal", "-shm")]:
            if os.path.exists(f):
                os.chown(f, 0, 65534)
                if not os.path.isdir(f):
                    os.chmod(f, mode)

    def ask(want):
        done = as_nobody(program, "-d", file, "show", "-o", "csv")
        assert done.returncode == 0 and done.stdout.count("\n") == want, done
        assert sorted(os.listdir(f"{tmp}/theirs")) == there, "it left files behind"

    # stopped: one file, in a folder that is not theirs to write to
    shutil.copy(path, file)
    give(0o640)
    there = ["flows.db"]
    ask(1201)
    # running
    writer = Writer(file)
    writer.flow(**random_flow(random.Random(9), T0 + 9000 * SEC))
    writer.commit()
    until("a row more", lambda: ctflow(file, "show", fmt="csv").count("\n") == 1202)
    give(0o640)
    there = ["flows.db", "flows.db-shm", "flows.db-wal"]
    ask(1202)
    # killed
    writer.kill()
    ask(1202)
    # not theirs at all
    give(0o600)
    done = as_nobody(program, "-d", file, "show")
    assert done.returncode == 4 and "Permission denied" in done.stderr, done
    # what they may write to is not changed either, as the daemon could not use it then
    os.chown(f"{tmp}/theirs", 65534, 65534)
    with sqlite3.connect(file) as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    c.close()
    give(0o640)
    os.chmod(f"{tmp}/theirs", 0o770)
    there = ["flows.db"]
    ask(1202)


def status_of_any_path(tmp):
    """What is no UTF-8 in a name leaves the answer JSON all the same."""
    path = os.fsencode(tmp) + b'/c\xff"\x01.conf'
    with open(path, "w", encoding="ascii") as f:
        f.write('[global]\nlogfile="log"\nstack="ct1:NFCT,js1:JSON"\n')
    done = subprocess.run([os.fsencode(build("ctflow")), b"-c", path, b"-o", b"json", b"status"],
                          capture_output=True, check=False)
    said = json.loads(done.stdout.decode("utf-8"))
    assert said["daemon"]["configuration"].endswith('/c\ufffd"\x01.conf'), said


def main():
    with tempfile.TemporaryDirectory(prefix="ctflow-") as tmp:
        path = f"{tmp}/a.db"
        random_history(3, 1200).write(path)
        tail(tmp)
        terminal(path)
        big = beside_writer(tmp)
        interrupted(big)
        progress(big)
        other_user(tmp, path)
        status_of_any_path(tmp)
    print("ctflow beside a writer, on terminals and pipes, as another user")


if __name__ == "__main__":
    main()
