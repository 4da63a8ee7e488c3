# SPDX-License-Identifier: GPL-2.0-or-later
"""Database servers as ordinary processes in a folder, and what stands before them."""
import contextlib
import glob
import os
import pwd
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time

import lab as labs
import recording
from daemon import Daemon, Failed, Unnamed, configuration, read_all, until
from reloaded import TEXT, Reloaded

KILLED, FLOOD = 10_000, "flood"
MUCH = 100_000  # flows: it takes longer to store them than to look at what is there
START = 1_790_000_000  # of the first flow of a recording, in seconds


def as_user(name):
    """What runs a program as that user, or as nobody where there is none."""
    if os.geteuid():
        return [], os.geteuid()
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        user = pwd.getpwnam("nobody")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}",
            "--clear-groups"], user.pw_uid


class Server:
    """One server, whose socket and data are in a folder of its own."""

    def __init__(self, tmp, name, user):
        self.prefix, uid = as_user(user)
        self.dir = f"{tmp}/{name}"
        os.mkdir(self.dir)
        if not os.geteuid():
            os.chown(self.dir, uid, -1)
        os.chmod(self.dir, 0o755)
        self.child = None
        self.environment = os.environ | {"TMPDIR": self.dir}  # the test's may not be its
        self.output = open(f"{tmp}/{name}.output", "ab")  # pylint: disable=consider-using-with

    def call(self, *argv, **options):
        done = subprocess.run([*self.prefix, *argv], capture_output=True, text=True,
                              timeout=600, check=False, cwd=self.dir, env=self.environment,
                              **options)
        if done.returncode:
            raise Failed(f"{argv}: {done.stdout}{done.stderr}")
        return done.stdout

    def begin(self, *argv):
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            [*self.prefix, *argv], stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=self.output, cwd=self.dir, env=self.environment)

    def end(self, number):
        if self.child:
            self.child.send_signal(number)
            self.child.wait(300)
        self.child = None

    def tell(self, number):
        """A signal to the server and all it has forked, but those that have just ended."""
        children = subprocess.run(["pgrep", "-P", str(self.child.pid)], capture_output=True,
                                  text=True, check=False).stdout.split()
        for pid in [self.child.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.output.close()


class Proxy:
    """TCP on a free port, passed on to a unix socket.

    Of the COMMITs that pass, those whose numbers are in `cut` are executed, but
    nothing the server says from then on comes back: when it is silent the
    connection is cut.
    """
    SILENT = 0.3  # seconds

    def __init__(self, path, cut=()):
        self.path, self.cut, self.commits, self.cuts = path, set(cut), 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(self.path)
                self._pump(client, server)
            except OSError:
                pass

    def _pump(self, client, server):
        """Until either side ends it, or the answer to a COMMIT is lost."""
        mute, answered = False, False
        while True:
            ready = select.select([client, server], [], [], self.SILENT if answered else None)[0]
            if not ready:
                self.cuts += 1
                return
            for s in ready:
                data = s.recv(1 << 16)
                if not data:
                    return
                if s is client:
                    for _ in range(data.count(b"COMMIT")):
                        self.commits += 1
                        mute |= self.commits in self.cut
                    server.sendall(data)
                else:
                    answered = mute
                    if not mute:
                        client.sendall(data)

    def close(self):
        self.listener.close()


def replay(lab, tmp, name, output, options, flows, chain="ip1:IP2STR,", during=None,
           more=""):
    """ctflowd replays so many flows into the database and ends, or without flows waits; the daemon."""
    folder = f"{tmp}/{name}"
    os.makedirs(folder, exist_ok=True)
    recording.write(f"{folder}/flows.pcap", flows, start=START)
    daemon = Daemon(lab, None, folder, configuration(
        folder, [f"in1:REPLAY,{chain}db1:{output}"],
        {"in1": f'file="{folder}/flows.pcap"\nstop_at_end={int(flows > 0)}\n',
         "db1": f"reconnect=100ms\n{options}"}
    ).replace("[global]\n", f"[global]\n{more}"))
    daemon.start(wait=False)
    if during:
        during(daemon)
    daemon.code = daemon.wait(600)
    daemon.check_sanitizer()
    return daemon


def expected(i):
    """sport, octets, start and end of flow i of a recording."""
    ms = START * 1000 + i
    return (1000 + i % 60000, 28 + i % 1000, ms // 1000, ms % 1000 * 1000,
            ms // 1000 + 30, ms % 1000 * 1000)


def once(rows, flows, without=()):
    """What is wrong unless each flow but those left out is there exactly once."""
    want = {expected(i) for i in range(flows) if i not in without}
    if len(rows) != len(want):
        yield f"{len(rows)} rows of {len(want)} flows"
    if set(rows) != want:
        yield f"missing {list(want - set(rows))[:3]}, unknown {list(set(rows) - want)[:3]}"


def row_gone(lab, tmp, server, output, options, chain="ip1:IP2STR,"):
    """Somebody empties our table: nothing counts as stored that is not."""
    def during(_):
        until("rows", lambda: server.count() > 1000, 450, step=0.02)
        server.sql("DELETE FROM ctflowd_progress")
    daemon = replay(lab, tmp, "gone", output, options, MUCH, chain, during)
    if daemon.code or "our row of ctflowd_progress is gone" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(server.rows(), MUCH)


def away(lab, tmp, server, output, options, chain="ip1:IP2STR,"):
    """Started before the server is there: the columns are asked for later."""
    def during(daemon):
        daemon.wait_log("cannot connect")
        server.start()
    daemon = replay(lab, tmp, "away", output, options, 2000, chain, during)
    if daemon.code or "are not known yet" not in daemon.log():
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(server.rows(), 2000)


def stopped(lab, tmp, server, output, options, chain="ip1:IP2STR,"):
    """A server that answers no more holds up no stop, and no flow is lost or doubled."""
    def during(daemon):
        until("rows", lambda: server.count() > 500, step=0.02)
        server.tell(signal.SIGSTOP)
        time.sleep(0.3)
        daemon.send(signal.SIGTERM)
        daemon.wait()
        server.tell(signal.SIGCONT)
    first = replay(lab, tmp, "frozen", output, options, MUCH, chain, during,
                   "stop_timeout=1\n")
    server.idle()
    before, all_of_them = server.count(), int(re.search("events=(\\d+)", first.log()).group(1))

    def again(daemon):
        until("the spool", lambda: server.count() >= all_of_them)
        daemon.send(signal.SIGTERM)
    daemon = replay(lab, tmp, "frozen", output, options, 0, chain, again)
    rows = server.rows()
    print(f"{before} flows when it was stopped, {len(rows)} with those of the spool")
    if daemon.code or before == len(rows) or len(rows) != all_of_them:
        yield f"exit code {daemon.code}: {daemon.words()}"
    yield from once(rows, len(rows))


def reloads(lab, tmp, server, output, options, chain="ip1:IP2STR,"):
    """SIGHUP under load: each flow is one row, and nothing waits for a server that does not
    answer, or a host of which nobody knows the address, neither then nor at the start."""
    def stored():  # but the questions nobody answers
        return list(map(int, server.sql(
            "SELECT orig_l4_dport FROM ulog2_ct WHERE orig_l4_dport <> 53").split()))
    labs.flood_ns(lab, "reloads")
    stacks = [TEXT.format("emu1"), f"ct1:NFCT,{chain}db1:{output}"]
    more = f"ct1:NFCT,{chain}db2:{output}"
    text = {"emu1": 'file="%D/emu"\nsync=1\n', "db1": options}
    unknown = {"db2": re.sub("host=.*", "host=db.example", options)}
    s = Reloaded(lab, "reloads", tmp, "reloads", stacks, text, options="stop_timeout=300ms\n",
                 kind=Unnamed)
    s.flows.begin(1000)
    for i in range(1, 6):
        s.must(0, stacks, text | {"db1": f"{options}queue={i}M\n"})
        s.must(1, [*stacks, "ct1:NFCT,x:NOSUCH"], text)
        s.must(2, stacks, text | {"db1": f"{options}queue={i}M\n"})
    server.restart()
    s.must(0, stacks, text)
    s.flows.end()
    server.tell(signal.SIGSTOP)
    if not s.beside(stacks, text | {"db1": f"{options}queue=9M\n"}):
        yield "the flows had to wait for the server"
    server.tell(signal.SIGCONT)
    if not s.beside([*stacks, more], text | unknown):
        yield "the flows had to wait for the name server"
    s.must(0, stacks, text)
    until("all rows", lambda: len(stored()) >= s.flows.made)
    s.must(0, [*stacks, more], text | unknown)
    s.daemon.send(signal.SIGKILL)
    s.daemon.wait()
    s.daemon.start()
    until("the second start", lambda: s.daemon.log().count("entering main loop") == 2)
    s.flows.make(10)
    until("all rows", lambda: len(stored()) >= s.flows.made)
    s.daemon.send(signal.SIGTERM)
    s.daemon.wait()
    ports = stored()
    print(f"{s.flows.made} flows, {len(ports)} rows, {len(set(ports))} of them different")
    if sorted(ports) != [1024 + i for i in range(s.flows.made)]:
        yield f"{len(ports)} rows, {len(set(ports))} different, of {s.flows.made} flows"


def killed(lab, tmp, server, output, options, chain="ip1:IP2STR,"):
    """SIGKILL while frames are being stored: the next start knows how many are missing."""
    labs.flood_ns(lab, FLOOD)
    folder = f"{tmp}/killed"
    os.mkdir(folder)
    daemon = Daemon(lab, FLOOD, folder, configuration(
        folder, [f"ct1:NFCT,{chain}db1:{output}"], {"db1": options})).start()
    def burst(first, count):
        lab.run(FLOOD, labs.helper("flood", tmp), str(count), "0", str(first), timeout=300)
        lab.run(FLOOD, "conntrack", "-F", timeout=300)
    burst(0, 10)
    until("rows", lambda: server.count() == 10, step=0.02)
    server.tell(signal.SIGSTOP)
    burst(10, KILLED - 10)
    until("all to be read", lambda: daemon.send(signal.SIGUSR1) or
          f"records={KILLED}" in daemon.log(), step=0.2)
    server.tell(signal.SIGCONT)
    pause = random.uniform(0.02, 0.15)
    time.sleep(pause)
    daemon.send(signal.SIGKILL)
    daemon.wait()
    server.idle()
    stored = server.count()
    daemon.start()
    daemon.wait_log("the run before this one")
    daemon.stop()
    print(f"{stored} of {KILLED} flows were stored when it was killed after {pause:.3f} s")
    if f"ended with {KILLED - stored} flows not delivered" not in daemon.log():
        yield f"{stored} of {KILLED} flows are there: {daemon.words()}"


def beside(lab, tmp, natlab, made, daemon, plugins, stack, sections):
    """ulogd2 and ctflowd in the gateway while `made` traffic passes."""
    modules = [m for m in glob.glob("/usr/lib/*/ulogd/ulogd_*_*.so")
               if any(f"_{p}.so" in m for p in plugins)]
    text = f'[global]\nlogfile="{tmp}/ulogd.log"\nloglevel=3\n'
    text += "".join(f'plugin="{m}"\n' for m in modules) + f"stack={stack}\n" + sections
    with open(f"{tmp}/ulogd.conf", "w", encoding="utf-8") as f:
        f.write(text)
    ulogd = lab.popen(natlab.GATEWAY, [shutil.which("ulogd"), "-c", f"{tmp}/ulogd.conf"])

    def log():
        with open(f"{tmp}/ulogd.log", encoding="utf-8") as f:
            return f.read()
    until("ulogd2", lambda: os.path.exists(f"{tmp}/ulogd.log") and
          "initialization finished" in log())
    daemon.start(wait=False)
    daemon.wait_log("entering main loop")
    made()
    daemon.stop()
    read_all(lab, natlab.GATEWAY, ulogd.pid)
    ulogd.terminate()
    ulogd.wait(100)
