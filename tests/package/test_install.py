#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""make install: every file in its place; plugins built against it alone run; uninstall.

Needs no root and no network.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

TREE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
MIN = 2000

# By the variable that says where; modules depend on the build.
EXPECTED = {
    "bindir": ["ctflow"], "sbindir": ["ctflowd"], "pkgconfigdir": ["ctflowd.pc"],
    "mandir": ["man1/ctflow.1", "man5/ctflowd.conf.5", "man8/ctflowd.8"],
    "bashcompletiondir": ["ctflow", "ctflowd"],
    "docdir": ["README.md", "compatibility.md", "mysql.sql", "pgsql.sql", "clickhouse.sql",
               "clickhouse-retention.sh", "ctflowd.conf",
               "ctflowd-namespaces.conf", "ctflowd.rules.yml", "ctflowd-dashboard.json",
               "scale.md", "streaming.md", "nfacctd-kafka.conf", "rsyslog-kafka.conf",
               "examples/Makefile", "examples/datagram.c",
               "examples/minbytes.c"],
    "sysconfdir": ["ctflowd.conf", "logrotate.d/ctflowd"],
    "ctflowincludedir": os.listdir(f"{TREE}/core/include/ctflow"),
}
SYSTEMD = {"systemdsystemunitdir": ["ctflowd.service"],
           "prefix": ["lib/sysctl.d/50-ctflowd.conf", "lib/modules-load.d/ctflowd.conf",
                      "lib/sysusers.d/ctflowd.conf", "lib/tmpfiles.d/ctflowd.conf"]}


def make(*args, where="."):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(["make", "-s", *args], cwd=where, env=env, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def variable(name):
    """What the Makefile says, others in it replaced."""
    with open("Makefile", encoding="utf-8") as f:
        value = re.search(rf"^{name} = (.*)$", f.read(), re.M).group(1)
    return re.sub(r"\$[({](\w+)[)}]", lambda m: variable(m.group(1)), value)


def files(root):
    return {os.path.relpath(os.path.join(d, n), root) for d, _, ns in os.walk(root) for n in ns}


def expected():
    folders = EXPECTED | (SYSTEMD if variable("systemdsystemunitdir") != "no" else {})
    return {f"{variable(folder)}/{name}"[1:] for folder, names in folders.items() for name in names}


def check_files(stage):
    have = files(stage)
    modules = {n for n in have if n.startswith(variable("pkglibdir")[1:])}
    assert have - modules == expected(), \
        f"too many: {have - modules - expected()}, missing: {expected() - have}"
    assert not any("ulogd" in n for n in have)
    for folder in ("lib", "log"):
        mode = os.stat(f"{stage}{variable('localstatedir')}/{folder}/ctflowd").st_mode & 0o7777
        assert mode == 0o750, f"{folder}: {mode:o}"
    for name in have:
        if name.endswith((".conf", ".service", ".pc", "logrotate.d/ctflowd")):
            with open(f"{stage}/{name}", encoding="utf-8") as f:
                found = re.search("@[a-z_]+@", f.read())
                assert not found, f"{name}: {found}"


def check_completion(stage):
    script = ('. "$1"; COMP_WORDS=("$2" --c); COMP_CWORD=1; _ctflowd "$2"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, "bash",
                           f"{stage}{variable('bashcompletiondir')}/ctflowd",
                           f"{stage}{variable('sbindir')}/ctflowd"], text=True, capture_output=True, timeout=300,
                          check=True)
    assert done.stdout.split() == ["--configfile", "--check"], done.stdout


def plugins(stage, where):
    """Copies of the sources, in a folder that knows nothing of the tree."""
    shutil.copytree(f"{stage}{variable('docdir')}/examples", where)
    env = os.environ | {"PKG_CONFIG_PATH": stage + variable("pkgconfigdir"),
                        "PKG_CONFIG_SYSROOT_DIR": stage,
                        "PKG_CONFIG_ALLOW_SYSTEM_CFLAGS": "1"}
    flags = subprocess.run(["pkg-config", "--cflags", "ctflowd"], env=env, text=True,
                           capture_output=True, check=True, timeout=300).stdout.strip()
    assert flags == f"-I{stage}{variable('includedir')}", flags
    subprocess.run(["make", "-s", f"CC={os.environ.get('CC', 'cc')}", "CFLAGS=-O2 -Wall -Wextra "
                    "-Werror -Wno-unused-parameter -Wno-missing-field-initializers"], cwd=where,
                   env={k: v for k, v in env.items() if k != "MAKEFLAGS"}, check=True, timeout=120)


def run(daemon, tmp, sock):
    """A recording through both; what JSON says of it and what came by UDP."""
    conf = f"""[global]
logfile="{tmp}/log"
state_dir="{tmp}/state"
plugin="{tmp}/plugins/minbytes.so"
plugin="{tmp}/plugins/datagram.so"
stack="in1:REPLAY,big1:MINBYTES,out1:DATAGRAM"
stack="in1:REPLAY,ip1:IP2STR,js1:JSON"
[in1]
file="{TREE}/tests/replay/data/real-6.18.pcap"
event_mask=4
[big1]
min={MIN}
[out1]
host=127.0.0.1
port={sock.getsockname()[1]}
[js1]
file="{tmp}/json"
"""
    with open(f"{tmp}/conf", "w", encoding="utf-8") as f:
        f.write(conf)
    done = subprocess.run([daemon, "-v", "-c", f"{tmp}/conf"], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    got = []
    sock.settimeout(0.5)
    try:
        while True:
            got += sock.recv(65536).decode().splitlines()
    except TimeoutError:
        pass
    with open(f"{tmp}/json", encoding="utf-8") as f:
        flows = [json.loads(line) for line in f]
    return got, [x for x in flows if "src_ip" in x]


def need_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("127.0.0.1", 9))
        except OSError as e:
            print(f"SKIP: needs the loopback interface: {e}")
            sys.exit(77)


def check_plugins(stage, tmp):
    plugins(stage, f"{tmp}/plugins")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind(("127.0.0.1", 0))
        got, flows = run(f"{stage}{variable('sbindir')}/ctflowd", tmp, sock)
    lines = [(f"{x['src_ip']} {x['dest_ip']}", x["orig.raw.pktlen"] + x["reply.raw.pktlen"])
             for x in flows]
    want = [f"{addresses} {n}" for addresses, n in lines if n >= MIN]
    assert 0 < len(want) < len(flows), f"nothing to choose: {lines}"
    assert got == want, f"{got}\nand not\n{want}"


def main():
    need_loopback()
    with tempfile.TemporaryDirectory() as tmp:
        stage = f"{tmp}/stage"
        make("install", f"DESTDIR={stage}")
        check_files(stage)
        check_completion(stage)
        check_plugins(stage, tmp)
        make("uninstall", f"DESTDIR={stage}")
        left = files(stage)
        assert not left, f"make uninstall leaves {left}"
    print("PASS")


if __name__ == "__main__":
    if not os.path.exists("Makefile"):
        sys.exit("run in the build folder")
    main()
