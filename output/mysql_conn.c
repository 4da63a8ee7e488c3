/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mysql_conn.c - MYSQL: a session that never blocks but in sqldb_wait(), by
 * the library's non-blocking calls.
 */
#include "mysql.h"

#include <errno.h>
#include <mariadb/errmsg.h>
#include <mariadb/mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

/* ---- waiting -------------------------------------------------------------------- */

/* What the library waits for, in its terms and in poll's. */
static int
await(struct my *m, int status)
{
	short events = (status & MYSQL_WAIT_READ ? POLLIN : 0) |
		       (status & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
		       (status & MYSQL_WAIT_EXCEPT ? POLLPRI : 0);
	int r = sqldb_wait(&m->db, mysql_get_socket(m->conn), events);

	if (r < 0)
		return r;
	return (r & (POLLIN | POLLERR | POLLHUP) ? MYSQL_WAIT_READ & status : 0) |
	       (r & (POLLOUT | POLLERR | POLLHUP) ? MYSQL_WAIT_WRITE & status : 0) |
	       (r & POLLPRI ? MYSQL_WAIT_EXCEPT : 0);
}

static int
no_answer(struct my *m, int r, const char *doing, struct ctf_err *err)
{
	if (r == -ETIMEDOUT)
		return ctf_fail(err, ETIMEDOUT, "%s: %s: no answer in time", m->db.where,
				doing);
	return ctf_fail(err, -r, "%s: %s: %s", m->db.where, doing, strerror(-r));
}

/* Whether the last error is the connection's, not the server's answer. */
static bool
is_broken(unsigned code)
{
	return (code >= CR_MIN_ERROR && code <= CR_MAX_ERROR) || code == ER_SERVER_SHUTDOWN ||
	       code == ER_CONNECTION_KILLED || code == ER_NEW_ABORTING_CONNECTION;
}

static int
failed(struct my *m, struct ctf_err *err)
{
	unsigned code = mysql_errno(m->conn);

	if (!is_broken(code))
		return ctf_fail(err, EPROTO, "%s", mysql_error(m->conn));
	return ctf_fail(err, ECONNRESET, "%s: connection lost: %s", m->db.where,
			mysql_error(m->conn));
}

int
my_failed(struct my *m, struct ctf_err *err)
{
	static const struct {
		unsigned code;
		int error;
	} codes[] = { { ER_LOCK_DEADLOCK, EAGAIN },
		      { ER_LOCK_WAIT_TIMEOUT, EAGAIN },
		      { ER_CHECKREAD, EAGAIN },
		      { ER_NO_SUCH_TABLE, ENOENT },
		      { ER_TABLEACCESS_DENIED_ERROR, EACCES },
		      { ER_COLUMNACCESS_DENIED_ERROR, EACCES },
		      { ER_DBACCESS_DENIED_ERROR, EACCES },
		      { ER_OPTION_PREVENTS_STATEMENT, EACCES } };
	unsigned code = mysql_errno(m->conn);
	int error = EIO;

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (code == codes[i].code)
			error = codes[i].error;
	return ctf_fail(err, error, "%s: %u: %s", m->db.where, code, mysql_error(m->conn));
}

/* ---- connecting ------------------------------------------------------------------- */

static void
where_set(struct my *m)
{
	const struct sqldb_conf *c = SQLDB_CONF(&m->db);

	snprintf(m->db.where, sizeof(m->db.where), "database \"%.90s\" on %.90s", c->db,
		 c->host);
}

/* Before the first packet: a peer that is gone is noticed, if late. */
static void
keep_alive(int fd)
{
	static const struct {
		int level, name, value;
	} opts[] = { { SOL_SOCKET, SO_KEEPALIVE, 1 },
		     { IPPROTO_TCP, TCP_KEEPIDLE, 30 },
		     { IPPROTO_TCP, TCP_KEEPINTVL, 10 },
		     { IPPROTO_TCP, TCP_KEEPCNT, 3 },
		     { IPPROTO_TCP, TCP_USER_TIMEOUT, 30000 } };

	for (size_t i = 0; i < sizeof(opts) / sizeof(*opts); i++)
		setsockopt(fd, opts[i].level, opts[i].name, &opts[i].value, sizeof(int));
}

static int
not_connected(struct my *m, struct ctf_err *err)
{
	unsigned code = mysql_errno(m->conn);
	int error = ECONNREFUSED;

	if (code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
	    code == ER_ACCESS_DENIED_NO_PASSWORD_ERROR)
		error = EACCES;
	if (code == ER_BAD_DB_ERROR)
		error = ENOENT;
	return ctf_fail(err, error, "%s: cannot connect: %u: %s", m->db.where, code,
			mysql_error(m->conn));
}

static int
handshake(struct my *m, struct ctf_err *err)
{
	const struct sqldb_conf *c = SQLDB_CONF(&m->db);
	const char *host = *c->host == '/' ? "localhost" : c->host;
	const char *path = *c->host == '/' ? c->host : NULL;
	MYSQL *up = NULL;
	int wait = mysql_real_connect_start(&up, m->conn, host, c->user, c->pass, c->db,
					    (unsigned)c->port, path, CLIENT_MULTI_STATEMENTS);

	while (wait) {
		int got = await(m, wait);

		if (got < 0)
			return no_answer(m, got, "cannot connect", err);
		wait = mysql_real_connect_cont(&up, m->conn, got);
	}
	if (!up)
		return not_connected(m, err);
	keep_alive(mysql_get_socket(m->conn));
	return 0;
}

int
my_connect(struct sqldb *s, struct ctf_err *err)
{
	struct my *m = (struct my *)s;
	unsigned none = 0; /* no server may ask for files of ours */
	my_bool off = 0;
	int r;

	where_set(m);
	r = sqldb_find(s, SQLDB_CONF(s)->host, err);
	if (r < 0)
		return r;
	m->conn = mysql_init(NULL);
	if (!m->conn)
		return ctf_fail(err, ENOMEM, "%s: out of memory", m->db.where);
	if (mysql_options(m->conn, MYSQL_OPT_NONBLOCK, NULL) ||
	    mysql_options(m->conn, MYSQL_SET_CHARSET_NAME, "utf8mb4") ||
	    mysql_options(m->conn, MYSQL_OPT_RECONNECT, &off) ||
	    mysql_options(m->conn, MYSQL_OPT_LOCAL_INFILE, &none))
		return ctf_fail(err, ENOMEM, "%s: %s", m->db.where, mysql_error(m->conn));
	return handshake(m, err);
}

/* Its orderly end would have to wait for the server. */
void
my_close(struct sqldb *s)
{
	struct my *m = (struct my *)s;
	int fd = m->conn ? mysql_get_socket(m->conn) : -1;

	if (fd >= 0 && s->broken)
		shutdown(fd, SHUT_RDWR);
	if (m->conn)
		mysql_close(m->conn);
	m->conn = NULL;
	buf_free(&m->sql);
	buf_free(&m->head);
}

int
my_fd(struct sqldb *s)
{
	return mysql_get_socket(((struct my *)s)->conn);
}

/* The server says nothing unasked but that it ends the session. */
bool
my_alive(struct sqldb *s)
{
	return false;
}

/* ---- statements ------------------------------------------------------------------- */

int
my_query(struct my *m, const char *sql, size_t n, struct ctf_err *err)
{
	int r = 0, wait = mysql_real_query_start(&r, m->conn, sql, n);

	while (wait) {
		int got = await(m, wait);

		if (got < 0)
			return no_answer(m, got, "waiting", err);
		wait = mysql_real_query_cont(&r, m->conn, got);
	}
	return r ? failed(m, err) : 0;
}

int
my_result(struct my *m, MYSQL_RES **ret_res, struct ctf_err *err)
{
	MYSQL_RES *res = NULL;
	int wait = mysql_store_result_start(&res, m->conn);

	while (wait) {
		int got = await(m, wait);

		if (got < 0)
			return no_answer(m, got, "waiting", err);
		wait = mysql_store_result_cont(&res, m->conn, got);
	}
	if (!res && mysql_errno(m->conn))
		return failed(m, err);
	*ret_res = res;
	return 0;
}

int
my_next(struct my *m, struct ctf_err *err)
{
	int r = -1, wait = mysql_next_result_start(&r, m->conn);

	while (wait) {
		int got = await(m, wait);

		if (got < 0)
			return no_answer(m, got, "waiting", err);
		wait = mysql_next_result_cont(&r, m->conn, got);
	}
	return r > 0 ? failed(m, err) : r == 0;
}

int
my_exec(struct my *m, const char *sql, MYSQL_RES **ret_res, struct ctf_err *err)
{
	MYSQL_RES *res = NULL;
	int r = my_query(m, sql, strlen(sql), err);

	if (r == 0)
		r = my_result(m, &res, err);
	if (r == -EPROTO)
		r = my_failed(m, err);
	if (r == 0 && ret_res)
		*ret_res = res;
	else
		mysql_free_result(res);
	return r;
}
