#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""slow_tls_collector.py CERT KEY PORT DIRECTORY CHUNK PAUSE RCVBUF: slow_collector.py over TLS.

At SIGTERM it says so by close_notify, as TLS wants it.
"""
import ssl
import sys

from slow_collector import Collector


class Tls:
    """Between the bytes of the socket and those of the session: wants no more than it feeds."""

    def __init__(self, peer, context):
        self.peer = peer
        self.inside, self.outside = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.inside, self.outside, server_side=True)
        self.up = False

    def _out(self):
        """What TLS has to say; a peer that has gone need not hear it."""
        if data := self.outside.read():
            try:
                self.peer.sendall(data)
            except ConnectionError:
                pass

    def feed(self, data):
        """Plain bytes of all records that are whole now."""
        self.inside.write(data)
        plain = b""
        try:
            if not self.up:
                self.tls.do_handshake()
                self.up = True
            while got := self.tls.read(1 << 16):
                plain += got
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        self._out()
        return plain

    def finish(self):
        try:
            self.tls.unwrap()
        except ssl.SSLError:  # it wants to read on, as we do
            pass
        self._out()


if __name__ == "__main__":
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*sys.argv[1:3])
    Collector(int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), float(sys.argv[6]),
              int(sys.argv[7]), lambda peer: Tls(peer, server)).run()
