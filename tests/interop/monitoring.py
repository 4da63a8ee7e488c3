# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus and its node exporter in a namespace, over a folder of text files."""
import json
import os
import re
import signal
import urllib.error
import urllib.parse
import urllib.request

from daemon import Failed, text, until

# These are here, whatever http_proxy says.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
EXPORTER, SERVER = "127.0.0.1:19100", "127.0.0.1:19090"
CONFIGURATION = """global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
  evaluation_interval: 500ms
rule_files: [rules.yml]
scrape_configs:
  - job_name: node
    static_configs:
      - targets: ["{exporter}"]
        labels: {{ctflowd: "yes"}}
"""


class Prometheus:
    """Both programs at work; they end with the lab."""

    def __init__(self, lab, ns, directory, rules):
        self.lab, self.ns, self.dir = lab, ns, directory
        self.texts = f"{directory}/texts"
        for folder in (directory, self.texts):
            os.makedirs(folder, exist_ok=True)
        self._write("prometheus.yml", CONFIGURATION.format(exporter=EXPORTER))
        self._write("rules.yml", rules)
        self.children = [
            # a user of its own, as its package has it
            self._start("exporter", "setpriv", "--reuid=nobody", "--regid=nogroup",
                        "--clear-groups", "--pdeathsig=TERM",
                        "prometheus-node-exporter", "--collector.disable-defaults",
                        "--collector.textfile", f"--collector.textfile.directory={self.texts}",
                        f"--web.listen-address={EXPORTER}"),
            self._start("prometheus", "prometheus", f"--config.file={directory}/prometheus.yml",
                        f"--storage.tsdb.path={directory}/tsdb", "--log.level=warn",
                        f"--web.listen-address={SERVER}")]
        until("Prometheus to answer", self._ready)

    def _write(self, name, words):
        with open(f"{self.dir}/{name}", "w", encoding="utf-8") as f:
            f.write(words)

    def _start(self, name, *argv):
        with open(f"{self.dir}/{name}.log", "wb") as log:
            return self.lab.popen(self.ns, argv, stdout=log, stderr=log,
                                  env=os.environ | {"GOMAXPROCS": "2"})

    def _ready(self):
        if any(c.poll() is not None for c in self.children):
            raise Failed(f"it ended: {self.words()}")
        try:
            return self.value("up") == 1
        except (OSError, ValueError, Failed):  # not yet
            return False

    def words(self):
        return text(f"{self.dir}/exporter.log") + text(f"{self.dir}/prometheus.log")

    def ask(self, path, **parameters):
        """The data of an answer of its HTTP API; Failed with what it says is wrong."""
        url = f"http://{SERVER}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with self.lab.inside(self.ns), DIRECTLY.open(url, timeout=100) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as e:
            raise Failed(f"{parameters}: {e.read().decode()}") from None

    def query(self, expression):
        """{labels as a tuple of pairs: value} at this moment."""
        data = self.ask("query", query=expression)
        if data["resultType"] == "scalar":
            return {(): float(data["result"][1])}
        return {tuple(sorted(r["metric"].items())): float(r["value"][1])
                for r in data["result"]}

    def value(self, expression):
        """Of the one sample it should be; None: there is none."""
        found = list(self.query(expression).values())
        if len(found) > 1:
            raise Failed(f"{len(found)} samples of {expression}")
        return found[0] if found else None

    def alerts(self, state="firing"):
        """Names of those in that state now."""
        return {a["labels"]["alertname"] for a in self.ask("alerts")["alerts"]
                if a["state"] == state}

    def reach(self, what, condition, limit=300):
        """Waits for it, and says what it saw instead."""
        try:
            until(what, condition, limit, 0.2)
        except Failed as e:
            raise Failed(f"{e}; firing: {self.alerts()}, pending: {self.alerts('pending')}, "
                         f"{self.words()}") from None

    def stop(self):
        """In order; what either of them has complained about."""
        for child in self.children:
            child.send_signal(signal.SIGTERM)
            child.wait(150)
        return [w for w in self.words().splitlines()
                if re.search(r"level=(warn|error)", w)
                and not re.search(r"SIGTERM|running as root", w)]
