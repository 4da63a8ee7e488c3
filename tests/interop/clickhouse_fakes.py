# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands between ctflowd and a ClickHouse server, and what is none."""
import contextlib
import re
import socket
import threading
import time


def read_request(s):
    """One request's head and body, or None."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(1 << 16)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
    while len(body) < length:
        more = s.recv(1 << 16)
        if not more:
            return None
        body += more
    return head, body


class Listener:
    """TCP on a free port; one thread for each connection."""

    def __init__(self, to, listener=None):
        self.to, self.listener = to, listener or socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            while (request := read_request(client)) and self.answer(client, *request):
                pass

    def ask(self, head, body):
        """The real server's answer, whole."""
        with socket.create_connection(("127.0.0.1", self.to)) as s:
            s.sendall(re.sub(rb"(?i)\r\nhost:", b"\r\nConnection: close\r\nHost:", head, count=1)
                      + b"\r\n\r\n" + body)
            parts = []
            while data := s.recv(1 << 16):
                parts.append(data)
        return b"".join(parts)

    def answer(self, client, head, body):
        client.sendall(self.ask(head, body))
        return False

    def close(self):
        self.listener.close()


class Door(Listener):
    """The server, while it is open; counts what is asked without the settings of inserts."""
    shut, bare = False, 0

    def answer(self, client, head, body):
        self.bare += b"insert_distributed_sync=1&insert_deduplicate=0" not in head
        return not self.shut and super().answer(client, head, body)


class Relay(Listener):
    """The server, as seen from the namespace that the socket is of."""

    def __init__(self, to, listener):
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        self.inserts = 0
        super().__init__(to, listener)

    def answer(self, client, head, body):
        self.inserts += b"flows_raw%20%28" in head
        return super().answer(client, head, body)


class Proxy(Listener):
    """Passes on; of the inserts of flows those whose numbers are in `cut` lose their answer."""

    def __init__(self, to, cut=()):
        self.cut, self.inserts, self.cuts = set(cut), 0, 0
        super().__init__(to)

    def answer(self, client, head, body):
        said = self.ask(head, body)
        if b"flows_raw" in head:
            self.inserts += 1
            if self.inserts in self.cut:
                self.cuts += 1
                return False
        client.sendall(said)
        return False


class Fake(Listener):
    """A server that takes the statements of a session, but not the first inserts."""
    ANSWERS = {
        "500": b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 15\r\n\r\nsomething broke",
        "garbage": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
        "noise": b"\x16\x03\x01\x02\x00 this is not HTTP at all \r\n\r\n",
        "close": b"",
        "short": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
    }

    def __init__(self, to, kind):
        self.kind, self.bad, self.mended = kind, 0, threading.Event()
        super().__init__(to)

    def mend(self):
        self.mended.set()

    def answer(self, client, head, body):
        if self.mended.is_set() or b"INSERT%20INTO" not in head:
            return super().answer(client, head, body)
        self.bad += 1
        if self.kind == "stall":
            self.mended.wait(600)
        elif self.kind == "endless":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not self.mended.is_set():
                client.sendall(b"x" * 65536)
                time.sleep(0.001)
        else:
            client.sendall(self.ANSWERS[self.kind])
        return False
