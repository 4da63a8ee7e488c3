# SPDX-License-Identifier: GPL-2.0-or-later
"""A MariaDB server, and what ctflowd and ulogd2 are told of it."""
import signal

from daemon import Failed, until
from databases import Server

COLUMNS = ("orig_l4_sport,orig_raw_pktlen,flow_start_sec,flow_start_usec,flow_end_sec,"
           "flow_end_usec")


class MariaDB(Server):
    def __init__(self, tmp):
        super().__init__(tmp, "my", "mysql")
        self.path = f"{self.dir}/socket"
        self.call("mariadb-install-db", "--no-defaults", f"--datadir={self.dir}/data",
                  "--auth-root-authentication-method=normal", "--skip-test-db",
                  "--innodb-log-file-size=16M")
        self.start()
        self.sql("CREATE DATABASE nulog; CREATE USER flows@localhost; CREATE USER flows@'127.%';"
                 "GRANT ALL ON nulog.* TO flows@localhost; GRANT ALL ON nulog.* TO flows@'127.%'",
                 db="mysql")

    def start(self):
        self.begin("mariadbd", "--no-defaults", f"--datadir={self.dir}/data",
                   f"--socket={self.path}", f"--pid-file={self.dir}/pid", "--skip-networking",
                   "--innodb-flush-log-at-trx-commit=2", "--innodb-log-file-size=16M",
                   "--innodb-buffer-pool-size=64M", "--sql-mode=STRICT_ALL_TABLES")
        until("MariaDB", self.answers, step=0.1)

    def answers(self):
        try:
            return self.sql("SELECT 1", db="mysql")
        except Failed:
            return None

    def restart(self, number=signal.SIGTERM):
        self.end(number)
        self.start()

    def sql(self, text, db="nulog", stdin=None):
        argv = ["mariadb", "--no-defaults", "-u", "root", "-S", self.path, "-BN", db]
        return self.call(*argv, *(["-e", text] if text else []), input=stdin)

    def load(self, path):
        with open(path, encoding="utf-8") as f:
            return self.sql(None, stdin=f.read())

    def rows(self, table="conntrack"):
        text = self.sql(f"SELECT {COLUMNS} FROM {table}")
        return [tuple(map(int, line.split("\t"))) for line in text.splitlines()]

    def count(self, table="ulog2_ct"):
        return int(self.sql(f"SELECT count(*) FROM {table}"))

    def idle(self):
        until("the old session to end", lambda: self.sql(
            "SELECT count(*) FROM information_schema.processlist WHERE user = 'flows'") == "0\n")

    def options(self, more="", user="flows", table="conntrack", procedure="INSERT_CT"):
        out = f'host="{self.path}"\ndb=nulog\nuser={user}\ntable={table}\n' \
            f'procedure="{procedure}"\n{more}'
        return out if "pass=" in out else out + 'pass=""\n'
