#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0-or-later
"""slow_collector.py PORT DIRECTORY CHUNK PAUSE RCVBUF: a TCP collector to kill.

Reads CHUNK bytes, then sleeps for PAUSE seconds, and so on; appends what it
has read to DIRECTORY/session-<n>, a file for each session, and takes it from
the socket after that only: a kill between the two leaves it unread.  With
CHUNK 0 it never reads.

SIGTERM: says the end of its own, reads to the end of the peer's, and exits.
SIGUSR1: resets the connection where it is, in the middle of a message, and
waits for the next one.
"""
import os
import signal
import socket
import sys
import time

RESET = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 seconds


class Plain:
    """What stands between the bytes of the socket and those of the session."""

    def __init__(self, peer):
        self.peer = peer

    def feed(self, data):
        return data

    def finish(self):
        self.peer.shutdown(socket.SHUT_WR)


class Collector:
    def __init__(self, port, directory, chunk, pause, rcvbuf, way=Plain):
        self.directory, self.chunk, self.pause, self.way = directory, chunk, pause, way
        self.asked = None
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.bind(("127.0.0.1", port))
        self.sock.listen()
        self.sock.settimeout(0.1)  # so that signals are seen
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, self.ask)

    def ask(self, number, _):
        self.asked = number

    def file(self):
        n = len([f for f in os.listdir(self.directory) if f.startswith("session-")])
        return open(f"{self.directory}/session-{n}", "wb", buffering=0)

    def wait(self, seconds):
        """Shorter if a signal has come."""
        end = time.monotonic() + seconds
        while not self.asked and time.monotonic() < end:
            time.sleep(min(0.05, max(0, end - time.monotonic())))

    def take(self, peer, way, out, most):
        """Peeks, stores, consumes; False at the end."""
        try:
            data = peer.recv(most, socket.MSG_PEEK)
        except TimeoutError:
            return True
        out.write(way.feed(data))
        taken = 0
        while taken < len(data):
            taken += len(peer.recv(len(data) - taken))
        return bool(data)

    def session(self, peer):
        """True: go on with the next one."""
        way = self.way(peer)
        with self.file() as out:
            while not self.asked:
                if self.chunk and not self.take(peer, way, out, self.chunk):
                    return True
                self.wait(self.pause)
            if self.asked == signal.SIGTERM:
                way.finish()
                while self.take(peer, way, out, 1 << 20):
                    pass
                return False
        self.asked = None
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        return True

    def run(self):
        go = True
        while go and self.asked != signal.SIGTERM:
            try:
                peer, _ = self.sock.accept()
            except TimeoutError:
                continue
            peer.settimeout(0.1)
            with peer:
                try:
                    go = self.session(peer)
                except ConnectionError:
                    pass


if __name__ == "__main__":
    Collector(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]),
              int(sys.argv[5])).run()
