#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Command line, signals, pidfile, background: the daemon as a process."""
import os
import pwd
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import daemon as daemons  # noqa: E402
import recording  # noqa: E402
from calls import NOBODY, Suite, call, expect, needs_root  # noqa: E402
from daemon import lines, text, until  # noqa: E402

suite = Suite()
STACK = "r1:REPLAY,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"


def conf(tmp, stack=STACK, more="", **sections):
    """A replay that stays: the daemon runs until it is told to end."""
    if not os.path.exists(f"{tmp}/events.pcap"):
        recording.write(f"{tmp}/events.pcap", 5)
    given = {"r1": f'file="{tmp}/events.pcap"\nstop_at_end=no\n',
             "emu1": f'file="{tmp}/out"\n'} | sections
    body = daemons.configuration(tmp, [stack], given)
    path = f"{tmp}/conf"
    with open(path, "w", encoding="utf-8") as f:
        f.write(body.replace("\nstack", f"\n{more}stack", 1))
    return path


class Running:
    """A daemon in the foreground, ended in any case."""

    def __init__(self, tmp, *args, code=0, **options):
        self.tmp, self.code = tmp, code
        path = conf(tmp, **options)
        with open(f"{tmp}/err", "wb") as err:
            self.child = subprocess.Popen([daemons.binary(), "-c", path, *args], stderr=err,
                                          stdin=subprocess.DEVNULL, cwd=daemons.build_dir())

    def __enter__(self):
        self.wait_log("entering main loop")
        return self

    def words(self):
        return text(f"{self.tmp}/log") + text(f"{self.tmp}/err")

    def wait_log(self, words, times=1):
        until(f"'{words}' in: {self.words()}",
              lambda: text(f"{self.tmp}/log").count(words) >= times)

    def end(self, number):
        """Its exit code after that signal."""
        self.child.send_signal(number)
        return self.child.wait(daemons.LIMIT)

    def __exit__(self, *_):
        try:
            if self.child.poll() is None:
                code = self.end(signal.SIGTERM)
                expect(code == self.code, f"exit code {code}: {self.words()}")
        finally:
            self.child.kill()
            self.child.wait()
        bad = [s for s in daemons.SANITIZER if s in self.words()]
        expect(not bad, "sanitizer report:", self.words())


@suite
def help_option(tmp):
    for option in ("-h", "--help"):
        done = call(option)
        expect(done.code == 0 and not done.err, done.words)
        for word in ("-h", "-V", "-d", "-v", "-l", "-c", "-p", "-u", "-i", "-n", "--configfile"):
            expect(word in done.out, word, "is not in the usage text")


@suite
def version_option(tmp):
    for option in ("-V", "--version"):
        done = call(option)
        expect(done.code == 0 and "ctflowd" in done.out.lower() and "Version" in done.out,
               done.words)


@suite
def unknown_option(tmp):
    done = call("--nonsense")
    expect(done.code == 1, "exit code", done.code)
    expect("nonsense" in done.err and "age:" in done.out, done.words)


@suite
def info_option(tmp):
    for name, words in {
            "NFCT": ("event_mask", "reliable", "sysctl", "orig.ip.saddr", "ct.event"),
            "REPLAY": ("file", "speed"), "IP2STR": ("orig.ip.saddr.str",),
            "PRINTFLOW": ("print",), "MARK": ("mark", "mask"),
            "FILTER": ("expr",), "LOGEMU": ("file", "sync"),
            "GPRINT": ("timestamp",), "JSON": ("boolean_label", "mode"),
            "SQLITE3": ("db", "table"), "IPFIX": ("oid", "mtu", "pen")}.items():
        done = call("-i", name)
        expect(done.code == 0 and not done.err, name, done.words)
        missing = [w for w in words if w not in done.out]
        expect(not missing, f"-i {name} does not mention", missing)
    done = call("-i", "/usr/lib/ulogd/ulogd_output_LOGEMU.so")
    expect(done.code == 0 and "sync" in done.out, "ulogd2's path is not understood:", done.words)
    done = call("-i", "NOSUCH")
    expect("NOSUCH" in done.words, done.words)


@suite
def unknown_user(tmp):
    done = call("-u", "ctl-no-such-user", "-c", conf(tmp))
    expect(done.code == 1 and "Unknown user ctl-no-such-user" in done.words, done.words)


@suite
def check_option(tmp):
    done = call("-n", "-c", conf(tmp))
    expect(done.code == 0, done.words)
    expect(not os.path.exists(f"{tmp}/out") and not os.path.exists(f"{tmp}/log"),
           "-n has opened files")


@suite
def events_left_out(tmp):
    """An output wants events that the input is told not to listen to."""
    for mask, option, words in ((4, "nat_events=yes", "wants NEW events, and event_mask = 4"),
                                (5, "flow_events=update", "wants UPDATE events, and event_"),
                                (5, "nat_events=yes", ""), (4, "nat_events=no", "")):
        with open(f"{tmp}/events", "w", encoding="utf-8") as f:
            f.write(daemons.configuration(tmp, ["ct1:NFCT,x1:IPFIX"], {
                "ct1": f"event_mask={mask}\n", "x1": f"oid=1\nhost=localhost\n{option}\n"}))
        done = call("-n", "-c", f"{tmp}/events")
        expect(done.code == 0, done.words)
        expect(words in done.err if words else "events" not in done.err, option, done.err)


@suite
def print_option(tmp):
    """What -n -v prints as configuration is the same configuration."""
    path = conf(tmp, more='plugin="/usr/lib/x/ulogd_output_LOGEMU.so"\n',
                emu1=f'file = {tmp}/out # here\nqueue=4M\nreconnect=1500ms\nsync = yes\n')
    first = call("-n", "-v", "-c", path)
    expect(first.code == 0, first.words)
    with open(f"{tmp}/again", "w", encoding="utf-8") as f:
        f.write(first.out)
    second = call("-n", "-v", "-c", f"{tmp}/again")
    expect(second.code == 0, second.words)
    expect(first.out.replace(path, "") == second.out.replace(f"{tmp}/again", ""),
           f"it differs:\n{first.out}\n---\n{second.out}")
    expect(not second.err, "the printed one has problems:", second.err)
    for word in (f"{tmp}/out", "REPLAY", "LOGEMU", "print"):
        expect(word in first.out, word, "is not in:", first.out)


@suite
def verbose_and_level(tmp):
    done = call("-v", "-l", "1", "-c", conf(tmp, r1=f'file="{tmp}/events.pcap"\n'))
    expect(done.code == 0 and "entering main loop" in done.err, done.words)
    expect("entering main loop" in text(f"{tmp}/log"), "not in the log file")
    os.unlink(f"{tmp}/log")
    done = call("-l", "7", "-c", conf(tmp, r1=f'file="{tmp}/events.pcap"\n'))
    expect(done.code == 0 and not text(f"{tmp}/log"), text(f"{tmp}/log"))


@suite
def ends_in_order(tmp):
    for number in (signal.SIGTERM, signal.SIGINT):
        pidfile = f"{tmp}/pid"
        with Running(tmp, "-p", pidfile) as d:
            until("the pidfile", lambda p=pidfile: text(p).strip())
            expect(text(pidfile) == f"{d.child.pid}\n", "pidfile:", text(pidfile))
            expect(d.end(number) == 0, "exit code", d.child.returncode, d.words())
            expect(not os.path.exists(pidfile), "the pidfile is still there")
        os.unlink(f"{tmp}/log")


@suite
def pidfile_taken(tmp):
    os.mkdir(f"{tmp}/b")
    with Running(tmp, "-p", f"{tmp}/pid") as d:
        done = call("-p", f"{tmp}/pid", "-c", conf(f"{tmp}/b"))
        expect(done.code == 1, "exit code", done.code)
        expect("already running" in done.words and str(d.child.pid) in done.words, done.words)
        expect(text(f"{tmp}/pid") == f"{d.child.pid}\n", "the pidfile was changed")


@suite
def pidfile_stale(tmp):
    with open(f"{tmp}/pid", "w", encoding="ascii") as f:
        f.write("1\n")
    with Running(tmp, "-p", f"{tmp}/pid") as d:
        until("the pidfile", lambda: text(f"{tmp}/pid") == f"{d.child.pid}\n")


@suite
def pidfile_unwritable(tmp):
    done = call("-p", f"{tmp}/no/pid", "-c", conf(tmp))
    expect(done.code == 1 and f"{tmp}/no/pid" in done.err, done.words)


@suite
def background(tmp):
    """-d returns when all is well, relative path or not; the daemon then runs."""
    conf(tmp)
    argv = [daemons.binary(), "-d", "-c", os.path.relpath(f"{tmp}/conf"), "-p", f"{tmp}/pid"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=daemons.LIMIT, check=False)
    expect(done.returncode == 0, done.stdout, done.stderr, text(f"{tmp}/log"))
    pid = int(text(f"{tmp}/pid"))
    try:
        until("the flows", lambda: lines(f"{tmp}/out") == 5)
        expect(os.readlink(f"/proc/{pid}/cwd") == "/", "it did not leave its folder")
        expect(os.readlink(f"/proc/{pid}/fd/0") == "/dev/null", "it holds its stdin")
        expect(os.getsid(pid) != os.getsid(0), "it is in our session")
    finally:
        os.kill(pid, signal.SIGTERM)
    until("its end", lambda: not os.path.exists(f"{tmp}/pid"))
    expect("exiting" in text(f"{tmp}/log"), text(f"{tmp}/log"))


@suite
def background_failure(tmp):
    """A start that fails is told to the caller of -d."""
    path = conf(tmp, emu1=f'file="{tmp}/no/out"\n')
    done = call("-d", "-c", path, "-p", f"{tmp}/pid")
    expect(done.code == 1, "exit code", done.code)
    expect(f"{tmp}/no/out" in done.err, "stderr:", done.err)
    expect(not os.path.exists(f"{tmp}/pid"), "the pidfile is still there")


@suite
def reopen(tmp):
    """SIGHUP after a rename: output and log continue in new files."""
    with Running(tmp) as d:
        until("the flows", lambda: lines(f"{tmp}/out") == 5)
        for name in ("out", "log"):
            os.rename(f"{tmp}/{name}", f"{tmp}/{name}.1")
        d.child.send_signal(signal.SIGHUP)
        until("new files", lambda: all(os.path.exists(f"{tmp}/{n}") for n in ("out", "log")))
        expect(d.child.poll() is None, "it ended")
        expect(d.end(signal.SIGTERM) == 0, d.words())
        expect("exiting" in text(f"{tmp}/log"), "the log went on in the old file")
        expect("exiting" not in text(f"{tmp}/log.1"), "the old log was still written")


@suite
def reopen_impossible(tmp):
    """SIGHUP when the file cannot be made again: the old one goes on."""
    if os.geteuid() == 0:
        os.mkdir(f"{tmp}/d")
        with Running(tmp, emu1=f'file="{tmp}/d/out"\n') as d:
            os.rename(f"{tmp}/d", f"{tmp}/e")
            d.child.send_signal(signal.SIGHUP)
            d.wait_log("/d/out")
            expect(d.child.poll() is None, "it ended")


@suite
def counters(tmp):
    with Running(tmp) as d:
        until("the flows", lambda: lines(f"{tmp}/out") == 5)
        before = text(f"{tmp}/log").count("emu1")
        d.child.send_signal(signal.SIGUSR1)
        until("counters", lambda: text(f"{tmp}/log").count("emu1") > before)
        said = [w for w in text(f"{tmp}/log").splitlines() if "emu1" in w and "5" in w]
        expect(said, "no counter of emu1 says 5:", text(f"{tmp}/log"))


@suite
def survives(tmp):
    """Signals that mean nothing to it."""
    with Running(tmp) as d:
        for number in (signal.SIGPIPE, signal.SIGUSR2, signal.SIGUSR1, signal.SIGHUP):
            d.child.send_signal(number)
        d.wait_log("reopening")
        expect(d.child.poll() is None, "it ended with", d.child.returncode)


@suite
def broken_pipe(tmp):
    """The reader of a FIFO goes away while lines are written."""
    recording.write(f"{tmp}/events.pcap", 20000)
    os.mkfifo(f"{tmp}/fifo")
    reader = os.open(f"{tmp}/fifo", os.O_RDONLY | os.O_NONBLOCK)
    with Running(tmp, emu1=f'file="{tmp}/fifo"\nqueue=64K\n', more="stop_timeout=1\n") as d:
        until("something in the FIFO", lambda: _read(reader))
        os.close(reader)
        d.child.send_signal(signal.SIGUSR1)
        try:
            d.child.wait(0.5)
            raise AssertionError(f"it ended with {d.child.returncode}: {d.words()}")
        except subprocess.TimeoutExpired:
            pass


def _read(fd):
    try:
        return os.read(fd, 4096)
    except BlockingIOError:
        return b""


@suite
def collector_comes_late(tmp):
    """Refused at first: one clear line, the daemon runs, tries again, delivers."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))  # not listening: connections are refused
    port = server.getsockname()[1]
    options = f'mode=tcp\nhost=127.0.0.1\nport={port}\nreconnect=300ms\n'
    with Running(tmp, stack="r1:REPLAY,ip1:IP2STR,json1:JSON", json1=options) as d:
        d.wait_log(f"{port}")
        try:
            d.child.wait(1)
        except subprocess.TimeoutExpired:
            pass
        said = [w for w in text(f"{tmp}/log").splitlines()
                if "json1" in w and str(port) in w and "refused" in w]
        expect(len(said) == 1, "not one line:", text(f"{tmp}/log"))
        server.settimeout(daemons.LIMIT)
        server.listen()
        peer, _ = server.accept()
        peer.settimeout(daemons.LIMIT)
        got = b""
        while got.count(b"\n") < 5:
            part = peer.recv(65536)
            expect(part, "closed after", got)
            got += part
        peer.close()
    server.close()


@suite
@needs_root
def numeric_user(tmp):
    for user in (str(NOBODY), pwd.getpwuid(NOBODY).pw_name):
        with Running(tmp, "-u", user) as d:
            status = dict(w.split(":\t", 1) for w in
                          text(f"/proc/{d.child.pid}/status").splitlines() if ":\t" in w)
            expect(status["Uid"].split() == [str(NOBODY)] * 4, "uid", status["Uid"])
            expect(int(status["Gid"].split()[0]) != 0, "gid", status["Gid"])
            until("the flows", lambda: lines(f"{tmp}/out") == 5)
            expect(os.stat(f"{tmp}/out").st_uid == NOBODY, "the file is not the user's")
        os.unlink(f"{tmp}/log")
        os.unlink(f"{tmp}/out")


suite.run()
