# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates made for a test, and collectors that speak TLS, well or badly."""
import os
import socket
import ssl
import subprocess
import threading
import time

HALF = bytes([22, 3, 3, 0, 80, 2, 0, 0, 76, 3, 3])  # of a ServerHello


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=300,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]}: {done.stderr}")


class Authority:
    """Signs; each certificate is NAME.pem and NAME.key in the directory."""

    def __init__(self, directory, name):
        self.dir, self.name = directory, name
        self.ca = self.path(name, "pem")
        self._request(name, f"the authority {name}", "-x509", "-days", "2")

    def path(self, name, ext):
        return os.path.join(self.dir, f"{name}.{ext}")

    def _request(self, name, cn, *words):
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={cn}", "-keyout", self.path(name, "key"),
                 "-out", self.path(name, "pem"), *words)

    def sign(self, name, names, days=2):
        """Certificate and key; days < 0: it has expired."""
        self._request(name, name)
        ext = self.path(name, "ext")
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n")
        _openssl("x509", "-req", "-in", self.path(name, "pem"), "-CA", self.ca,
                 "-CAkey", self.path(self.name, "key"), "-extfile", ext, "-days", str(days),
                 "-out", self.path(name, "pem"))
        return self.path(name, "pem"), self.path(name, "key")


def context(pair, clients=None, version=None):
    """Of a server with that certificate and key; clients: who signs theirs, which are a must."""
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(*pair)
    if clients:
        c.load_verify_locations(clients)
        c.verify_mode = ssl.CERT_REQUIRED
    if version:
        c.minimum_version = c.maximum_version = version
    return c


class Session:
    """What one connection brought: raw bytes as they came, and what they meant."""

    def __init__(self, mode):
        self.mode = mode
        self.when = time.monotonic()
        self.raw, self.plain = bytearray(), bytearray()
        self.up = self.over = False
        self.error = self.subject = None


class TlsSink:
    """Accepts one session after the other, each as `mode` says then.

    A mode is an ssl.SSLContext, or "plain", "stop" (in the handshake), "hang up".
    """

    def __init__(self, lab, ns, port, mode, host="127.0.0.1"):
        self.mode = mode
        self.sessions = []
        self.sock = lab.socket(ns, socket.AF_INET, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            s = Session(self.mode)
            self.sessions.append(s)
            with peer:
                try:
                    self._serve(peer, s)
                except OSError as e:
                    s.error = str(e)
            s.over = True

    def _serve(self, peer, s):
        if isinstance(s.mode, ssl.SSLContext):
            _Tls(peer, s).run()
            return
        s.raw += peer.recv(4096)
        if s.mode == "plain":
            peer.sendall(b"220 nobody speaks TLS here\r\n")
        if s.mode == "stop":
            peer.sendall(HALF)
        while s.mode != "hang up" and (got := peer.recv(65536)):
            s.raw += got

    def plain(self):
        """All that was ever decrypted."""
        return b"".join(bytes(s.plain) for s in self.sessions)

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(100)
        self.sock.close()


class _Tls:
    """One session of an SSLContext, with its raw bytes kept."""

    def __init__(self, peer, s):
        self.peer, self.s = peer, s
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = s.mode.wrap_bio(self.inside, self.outside, server_side=True)

    def _flush(self):
        out = self.outside.read()
        if out:
            self.peer.sendall(out)

    def _feed(self):
        got = self.peer.recv(65536)
        self.s.raw += got
        if got:
            self.inside.write(got)
        else:
            self.inside.write_eof()

    def _do(self, what, *args):
        """Until the operation is done; what it returns."""
        while True:
            try:
                return what(*args)
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
            finally:
                self._flush()

    def run(self):
        self._do(self.tls.do_handshake)
        self.s.up, self.s.subject = True, self.tls.getpeercert()
        while got := self._do(self.tls.read, 65536):
            self.s.plain += got
        self._do(self.tls.unwrap)
