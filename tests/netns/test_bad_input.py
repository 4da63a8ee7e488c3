#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input: one clear line that names what and where, the right exit code."""
import os
import re
import shutil
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import recording  # noqa: E402
from calls import NOBODY, Suite, as_nobody, call, expect, needs_root  # noqa: E402
from daemon import lines  # noqa: E402

suite = Suite()
TEXT = "r1:REPLAY,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"
# What may stand beside the one line that says what is wrong.
BESIDE = (r"stack '.*' is refused", r"not even a single working plugin stack",
          r"Fatal error")


def conf(tmp, body, name="conf"):
    path = os.path.join(tmp, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(body)
    return path


def replay(tmp, stack=TEXT, count=5, more="", **sections):
    """A configuration around a recording of some flows; the 4th line is the stack."""
    pcap = os.path.join(tmp, "events.pcap")
    if not os.path.exists(pcap):
        recording.write(pcap, count)
    body = f'[global]\nlogfile="{tmp}/log"\nloglevel=3\nstack="{stack}"\n{more}'
    given = {"r1": f'file="{pcap}"', "emu1": f'file="{tmp}/out"'} | sections
    for name in {i.split(":")[0]: 0 for i in stack.split(",")}:
        body += f"[{name}]\n{given.get(name, '')}\n"
    return conf(tmp, body)


def logged(tmp, word):
    """The lines of the log with this word."""
    with open(f"{tmp}/log", encoding="utf-8") as f:
        return [line for line in f if word in line]


def refused(done, *words, code=1):
    """It ended with that code, and one line has all these words."""
    expect(done.code == code, f"exit code {done.code}, not {code}:", done.words)
    said = [c for c in done.complaints() if not any(re.search(b, c) for b in BESIDE)]
    whole = [line for line in done.err.splitlines() if all(w in line for w in words)]
    expect(whole, f"no line with {words} in:\n{done.err}")
    expect(len(said) <= 1, "more than one line:\n" + "\n".join(said))


@suite
def missing_file(tmp):
    path = f"{tmp}/absent.conf"
    for more in ([], ["-n"]):
        refused(call("-c", path, *more), path, "No such file")


@suite
def unreadable_file(tmp):
    path = replay(tmp)
    os.chmod(path, 0)
    refused(call("-c", path, user=as_nobody()), path, "Permission denied")


@suite
def file_is_a_folder(tmp):
    refused(call("-c", tmp), tmp)


@suite
def syntax_no_global(tmp):
    path = conf(tmp, "[globbal]\nstack=r1:REPLAY\n")
    refused(call("-c", path), path, "global")


def refuses(name, where, *words, **how):
    """A check: replay() so changed is refused, by one line with PATH+where and the words."""
    def check(tmp):
        path = replay(tmp, **{k: v.replace("TMP", tmp) for k, v in how.items()})
        refused(call("-c", path), path + where, *words)

    check.__name__ = name
    suite(check)


refuses("syntax_no_colon", ":4", "emu1", stack="r1:REPLAY,emu1")
refuses("syntax_key_twice", ":5", "loglevel", more="loglevel=5\n")
refuses("unknown_plugin", ":4", "LOGEMUU", stack="r1:REPLAY,emu1:LOGEMUU")
refuses("order_output_first", ":4", "first plugin in stack has to be source plugin",
        stack="emu1:LOGEMU,r1:REPLAY")
refuses("order_filter_last", ":4", "last plugin in stack has to be output plugin",
        stack="r1:REPLAY,ip1:IP2STR")
refuses("missing_field", ":4", "print", stack="r1:REPLAY,emu1:LOGEMU")
refuses("missing_option", ":5", "file", r1="")
refuses("wrong_value_range", "", "queue", emu1='file="TMP/out"\nqueue=1')
refuses("wrong_value_choice", "", "speed", "warp", r1='file="TMP/events.pcap"\nspeed=warp')


@suite
def binary_file(tmp):
    path = f"{tmp}/binary"
    with open(path, "wb") as f:
        f.write(b"\x7fELF\0\0\xff[" * 1000)
    refused(call("-c", path), path)


@suite
def wrong_value_bool(tmp):
    path = replay(tmp, emu1=f'file="{tmp}/out"\nsync=perhaps')
    where = next(i for i, w in enumerate(open(path, encoding="utf-8"), 1) if "perhaps" in w)
    refused(call("-c", path), f"{path}:{where}", "sync", "perhaps")


@suite
def overflow_block_needs_replay(tmp):
    path = conf(tmp, f'[global]\nlogfile="{tmp}/log"\n'
                'stack="ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,emu1:LOGEMU"\n'
                f'[ct1]\n[emu1]\nfile="{tmp}/out"\noverflow=block\n')
    refused(call("-c", path), path, "overflow")


@suite
def unknown_key_is_a_warning(tmp):
    path = replay(tmp, emu1=f'file="{tmp}/out"\nsnyc=1')
    done = call("-c", path)
    expect(done.code == 0, done.words)
    said = logged(tmp, "snyc")
    expect(len(said) == 1 and "sync" in said[0].replace("snyc", ""), "no hint:", said)
    expect(lines(f"{tmp}/out") == 5, "flows not written")


@suite
def several_problems_at_once(tmp):
    path = replay(tmp, emu1=f'file="{tmp}/out"\nsync=perhaps\nqueue=1')
    done = call("-c", path)
    expect(done.code == 1, done.words)
    expect("perhaps" in done.err and "queue" in done.err, "only one was said:", done.err)


@suite
def logfile_cannot_be_opened(tmp):
    with open(replay(tmp), encoding="utf-8") as f:
        path = conf(tmp, f.read().replace(f"{tmp}/log", f"{tmp}/no/log"))
    refused(call("-c", path), f"{tmp}/no/log", "No such file", code=2)


@suite
def unwritable_output(tmp):
    for kind, stack, more in (
            ("emu1", TEXT, ""), ("gp1", "r1:REPLAY,gp1:GPRINT", ""),
            ("json1", "r1:REPLAY,json1:JSON", ""),
            ("db1", "r1:REPLAY,db1:SQLITE3", 'table="flows"')):
        key = "db" if kind == "db1" else "file"
        path = replay(tmp, stack=stack, **{kind: f'{key}="{tmp}/no/out"\n{more}'})
        refused(call("-c", path), f"{tmp}/no/out", "No such file")


@suite
def output_without_permission(tmp):
    os.mkdir(f"{tmp}/closed")
    os.chmod(f"{tmp}/closed", 0o555)
    path = replay(tmp, emu1=f'file="{tmp}/closed/out"')
    os.chmod(f"{tmp}/events.pcap", 0o644)
    refused(call("-c", path, user=as_nobody()), f"{tmp}/closed/out", "Permission denied")


DB = "r1:REPLAY,db1:SQLITE3"


@suite
def read_only_database(tmp):
    path = f"{tmp}/ro.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE other (x)")
    os.chmod(path, 0o444)
    config = replay(tmp, stack=DB, db1=f'db="{path}"\ntable="flows"')
    with open(f"{tmp}/log", "w", encoding="ascii"):
        os.chmod(f"{tmp}/log", 0o666)
    os.chmod(tmp, 0o555)
    try:
        refused(call("-c", config, user=as_nobody()), path)
    finally:
        os.chmod(tmp, 0o777)


@suite
def corrupt_database(tmp):
    path = f"{tmp}/corrupt.db"
    with open(path, "wb") as f:
        f.write(b"This is no database, whatever its name says. " * 200)
    before = open(path, "rb").read()
    refused(call("-c", replay(tmp, stack=DB, db1=f'db="{path}"\ntable="flows"')), path)
    expect(open(path, "rb").read() == before, "the file was changed")


@suite
def database_with_a_strange_column(tmp):
    path = f"{tmp}/strange.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (orig_ip_saddr INT, no_such_thing INT)")
    config = replay(tmp, stack=DB, db1=f'db="{path}"\ntable="t"')
    refused(call("-c", config), path, "no_such_thing")


@suite
def replay_missing(tmp):
    refused(call("-c", replay(tmp, r1=f'file="{tmp}/absent"')), f"{tmp}/absent", "No such file")


@suite
def replay_not_a_recording(tmp):
    path = f"{tmp}/text"
    with open(path, "w", encoding="ascii") as f:
        f.write("not a recording at all, only text\n" * 10)
    refused(call("-c", replay(tmp, r1=f'file="{path}"')), path, "pcap")


@suite
def replay_truncated(tmp):
    path = recording.write(f"{tmp}/cut.pcap", 20, cut=30)
    done = call("-c", replay(tmp, r1=f'file="{path}"'))
    said = logged(tmp, path)
    expect(len(said) == 1 and "ends within" in said[0], "not one line about the end:", said)
    expect(done.code == 1, f"exit code {done.code}")
    expect(lines(f"{tmp}/out") == 19, lines(f"{tmp}/out"), "of 19 whole flows written")


@suite
def one_bad_stack_does_not_stop_the_others(tmp):
    body = f'stack="r1:REPLAY,bad1:NOPE"\nstack="r1:REPLAY,emu2:LOGEMU"\n'
    done = call("-c", replay(tmp, more=body))
    expect(done.code == 0, done.words)
    expect(lines(f"{tmp}/out") == 5, "the good stack wrote", lines(f"{tmp}/out"))
    expect(call("-n", "-c", f"{tmp}/conf").code == 1, "-n does not report the bad stacks")


FOREIGN = """
#include <stdio.h>
__attribute__((constructor)) static void run(void)
{ FILE *f = fopen("%s", "w"); if (f) fclose(f); }
"""


@suite
def foreign_module(tmp):
    """Refused before any of its code runs; the rest goes on."""
    cc = os.environ.get("CC", "cc").split()
    path, trace = f"{tmp}/foreign.so", f"{tmp}/was-run"
    if shutil.which(cc[0]):
        source = conf(tmp, FOREIGN % trace, "foreign.c")
        subprocess.run([*cc, "-shared", "-fPIC", "-o", path, source], check=True, timeout=300)
    else:
        with open(path, "wb") as f:
            f.write(b"\x7fELF" + b"\0" * 60)
    done = call("-c", replay(tmp, more=f'plugin="{path}"\n'))
    said = logged(tmp, path)
    expect(done.code == 0, done.words)
    expect(len(said) == 1, "not one line about the file:", said, done.err)
    expect(not os.path.exists(trace), "its constructor was run")
    expect(lines(f"{tmp}/out") == 5, "the stack does not work")


@suite
def ulogd_module_paths(tmp):
    """plugin= lines of an ulogd.conf name our plugins, wherever they point."""
    more = 'plugin="/usr/lib/x/ulogd/ulogd_output_LOGEMU.so"\n' \
        'plugin="@pkglibdir@/ulogd_inppkt_NFLOG.so"\n'
    done = call("-c", replay(tmp, more=more))
    expect(done.code == 0 and lines(f"{tmp}/out") == 5, done.words)


@suite
@needs_root
def not_root(tmp):
    """A live input without the right to hear events."""
    path = conf(tmp, '[global]\nlogfile="stdout"\nstack="ct1:NFCT,ip1:IP2STR,print1:PRINTFLOW,'
                f'emu1:LOGEMU"\n[ct1]\n[emu1]\nfile="{tmp}/out"\n')
    refused(call("-c", path, user=NOBODY), "ct1", "CAP_NET_ADMIN")


suite.run()
