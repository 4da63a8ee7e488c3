# SPDX-License-Identifier: GPL-2.0-or-later
"""Collectors that keep every byte they get."""
import contextlib
import socket
import struct
import threading

import captured

SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35


class UdpSink:
    """Keeps datagrams, and when they came, until they are asked for.

    rules: what ipfix_check.py needs to know when the scene ends.
    """

    def __init__(self, lab, ns, port, host="127.0.0.1", **rules):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = lab.socket(ns, family, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind((host, port))
        self.sock.setblocking(False)
        self.datagrams = []
        self.times = []
        self.senders = []
        self.rules = {"slack": 1} | rules
        captured.watch(self)

    def messages(self):
        """All datagrams so far."""
        while True:
            try:
                data, control, _, sender = self.sock.recvmsg(65536, 64)
            except (BlockingIOError, OSError):  # nothing more, or closed
                return self.datagrams
            sec, nsec = struct.unpack("qq", control[0][2])
            self.datagrams.append(data)
            self.times.append(sec + nsec / 1e9)
            self.senders.append(sender)

    def timed(self):
        """All of them behind their time and length, for ipfix_check.py --timed."""
        return b"".join(struct.pack(">dI", t, len(d)) + d
                        for d, t in zip(self.messages(), self.times))

    def captured(self):
        """Each sender's datagrams are a session."""
        self.messages()
        for sender in dict.fromkeys(self.senders):
            yield (f"udp from {sender[1]}", "udp", [
                (t, d) for t, d, s in zip(self.times, self.datagrams, self.senders)
                if s == sender]), self.rules

    def close(self):
        self.messages()
        self.sock.close()


class TcpSink:
    """Accepts one session after the other and reads each to its end.

    With hold it accepts nothing and reads nothing until release().  What is
    not text is IPFIX, judged with these rules when the scene ends.
    """

    def __init__(self, lab, ns, port, host="127.0.0.1", hold=False, rcvbuf=0, **rules):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.sock = lab.socket(ns, family, socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.bind((host, port))
        self.sock.listen()
        self.sessions = []
        self.over = 0  # of these
        self.peer = None
        self.rules = rules
        captured.watch(self)
        self.go = threading.Event()
        if not hold:
            self.go.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        self.go.wait()
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            session = bytearray()
            self.sessions.append(session)
            self.peer = peer
            with peer:
                while self._read(peer, session):
                    pass
            self.over += 1

    @staticmethod
    def _read(peer, session):
        try:
            got = peer.recv(1 << 20)
        except OSError:
            return False
        session += got
        return bool(got)

    def captured(self):
        for i, session in enumerate(self.sessions):
            if session[:1] != b"{":  # of JSON
                yield (f"tcp session {i}", "tcp", bytes(session)), self.rules

    def release(self):
        self.go.set()

    def size(self):
        return sum(len(s) for s in self.sessions)

    def hang_up(self):
        """As if its host went down in order: the session is over, none follows."""
        peer = self.peer
        self.sock.shutdown(socket.SHUT_RDWR)
        if peer and peer.fileno() >= 0:
            peer.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self):
        """Accepts no further session."""
        self.go.set()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(100)
        self.sock.close()
