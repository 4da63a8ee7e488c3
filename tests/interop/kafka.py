# SPDX-License-Identifier: GPL-2.0-or-later
"""A Kafka broker for tests: the mock cluster of librdkafka, which lives in a
kcat that consumes one topic; and further consumers.

It speaks Kafka's protocol over TCP to any client.  It keeps messages in memory,
replicates nothing and knows no authorisation: what a broker does when its disk
is full or a replica is away is not seen here.
"""
import re
import signal

from daemon import text, until


class Consumer:
    """kcat on a topic, from its beginning."""

    def __init__(self, lab, ns, topic, path, *options):
        self.path, self.log = path, f"{path}.log"
        with open(path, "wb") as out, open(self.log, "wb") as log:
            self.child = lab.popen(ns, ["kcat", "-C", "-t", topic, "-o", "beginning", "-u", "-E",
                                        *options], stdout=out, stderr=log)

    def messages(self):
        """Whole ones."""
        return text(self.path).split("\n")[:-1]

    def await_messages(self, count, words=lambda: ""):
        until(f"{count} messages, not {len(self.messages())}: {text(self.log)}{words()}",
              lambda: len(self.messages()) >= count, 300, 0.2)

    def stop(self):
        self.child.send_signal(signal.SIGINT)
        self.child.wait(100)


class Broker(Consumer):
    """The consumer whose process is the broker as well."""

    def __init__(self, lab, ns, topic, path):
        super().__init__(lab, ns, topic, path, "-X", "test.mock.num.brokers=1", "-b", "mock")
        until("the broker's port", self._address)
        self.port = int(self._address()[1])

    def _address(self):
        return re.search(r"replaced with 127\.0\.0\.1:(\d+)", text(self.log))
