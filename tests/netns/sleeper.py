# SPDX-License-Identifier: GPL-2.0-or-later
"""Another program that listens to conntrack with reliable delivery."""
import socket

SOL_NETLINK, ADD_MEMBERSHIP, BROADCAST_ERROR, NO_ENOBUFS = 270, 1, 4, 5
SO_RCVBUFFORCE = 33


class Sleeper:
    """A reliable listener that reads nothing until it is told to."""

    def __init__(self, lab, ns, buffer):
        self.fd = lab.socket(ns, socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 12)
        self.fd.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, buffer)
        self.fd.bind((0, 0))
        for option in (BROADCAST_ERROR, NO_ENOBUFS):
            self.fd.setsockopt(SOL_NETLINK, option, 1)
        self.fd.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, 3)
        self.read = 0

    def drain(self):
        try:
            while True:
                self.fd.recv(2048)
                self.read += 1
        except BlockingIOError:
            pass
