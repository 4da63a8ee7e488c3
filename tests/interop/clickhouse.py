# SPDX-License-Identifier: GPL-2.0-or-later
"""A ClickHouse server as an ordinary process, on free ports and with a folder of its own."""
import os
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import recording
from daemon import Daemon, Failed, configuration, until

BIN = shutil.which("clickhouse-server") or "/usr/sbin/clickhouse-server"

CONFIG = """<yandex>
<logger><level>information</level><log>{dir}/log</log><errorlog>{dir}/errors</errorlog></logger>
<http_port>{http}</http_port><tcp_port>{tcp}</tcp_port>{tls}
<listen_host>{address}</listen_host>
<path>{data}/</path><tmp_path>{data}/tmp/</tmp_path>
<users_config>users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>67108864</mark_cache_size>
<timezone>UTC</timezone><keep_alive_timeout>3</keep_alive_timeout>
<remote_servers>{clusters}</remote_servers>{more}
</yandex>
"""
TLS = """<https_port>{port}</https_port><openSSL><server>
<certificateFile>{cert}</certificateFile><privateKeyFile>{key}</privateKeyFile>
<caConfig>{ca}</caConfig><verificationMode>{verify}</verificationMode>
<cacheSessions>true</cacheSessions><disableProtocols>sslv2,sslv3</disableProtocols>
</server></openSSL>"""
USERS = """<yandex><profiles><default/></profiles><quotas><default/></quotas><users>
<default><password></password><networks><ip>::/0</ip></networks><profile>default</profile>
<quota>default</quota></default>
<gateway><password>{secret}</password><networks><ip>::/0</ip></networks>
<profile>default</profile><quota>default</quota></gateway></users></yandex>
"""
# It is here, whatever http_proxy says.
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
SECRET = "s3cret-of-clickhouse"


def free_ports(n, address="127.0.0.1"):
    taken = [socket.create_server((address, 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Clickhouse:
    """One server.  `data` is its folder of data, a tmpfs maybe."""

    def __init__(self, tmp, name="clickhouse", data=None, tls=None, address="127.0.0.1",
                 more="", clusters="", tcp=0):
        self.dir, self.address = f"{tmp}/{name}", address
        os.mkdir(self.dir)
        self.data = data or f"{self.dir}/data"
        os.makedirs(self.data, exist_ok=True)
        self.port, self.tcp, self.tls = free_ports(3)
        self.tcp = tcp or self.tcp
        tls = TLS.format(port=self.tls, **({"verify": "none"} | tls)) if tls else ""
        self.write("config.xml", CONFIG.format(
            dir=self.dir, data=self.data, http=self.port, tcp=self.tcp, tls=tls,
            address=address, more=more, clusters=clusters))
        self.write("users.xml", USERS.format(secret=SECRET))
        self.child = None
        self.output = open(f"{self.dir}/output", "ab")  # pylint: disable=consider-using-with
        self.start()

    def write(self, name, text):
        with open(f"{self.dir}/{name}", "w", encoding="ascii") as f:
            f.write(text)

    def start(self):
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            [BIN, f"--config-file={self.dir}/config.xml"],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output, cwd=self.dir)
        until("ClickHouse", self.is_up, 300, step=0.1)

    def is_up(self):
        try:
            return self.sql("SELECT 1").strip() == "1"
        except (Failed, OSError):
            return False

    def kill(self, number=signal.SIGKILL):
        self.child.send_signal(number)
        self.child.wait(300)

    def restart(self, number=signal.SIGKILL):
        self.kill(number)
        self.start()

    def sql(self, text, user="default", password=""):
        """What it answers; Failed if it refuses."""
        request = urllib.request.Request(f"http://{self.address}:{self.port}/", text.encode(),
                                         {"X-ClickHouse-User": user,
                                          "X-ClickHouse-Key": password})
        try:
            with DIRECTLY.open(request, timeout=600) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            raise Failed(f"{text[:200]}: {e.read().decode()[:500]}") from e

    def number(self, text):
        return int(self.sql(text) or 0)

    def count(self, table="flows_raw FINAL", db="ctflow"):
        return self.number(f"SELECT count() FROM {db}.{table}")

    def make(self, lab, tmp):
        """The tables, as a daemon makes them that is given one flow, which goes again."""
        folder = f"{tmp}/maker"
        os.mkdir(folder)
        daemon = Daemon(lab, None, folder, configuration(
            folder, ["in1:REPLAY,ch1:CLICKHOUSE"],
            {"in1": f'file="{recording.write(folder + "/flows.pcap", 1)}"\n',
             "ch1": self.options("exporter=maker\n")})).start(wait=False)
        if daemon.wait(300):
            raise Failed(daemon.words())
        for table in "flows_raw", "coverage_raw", "gaps_raw":
            self.sql(f"TRUNCATE TABLE ctflow.{table}")

    def options(self, more=""):
        return f'host="{self.address}:{self.port}"\ncreate=yes\n{more}'

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.output.close()
