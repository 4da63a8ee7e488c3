/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pgsql_conn.c - PGSQL: a session that never blocks but in sqldb_wait(), and is
 * in pipeline mode from its beginning.
 */
#include "pgsql.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void
no_notices(void *arg, const PGresult *res)
{
}

/* What libpq says, without line breaks. */
static void
said(const struct pg *p, char *ret_text, size_t size)
{
	size_t n;

	snprintf(ret_text, size, "%s", PQerrorMessage(p->conn));
	for (n = strlen(ret_text); n && isspace((unsigned char)ret_text[n - 1]); n--)
		;
	ret_text[n] = '\0';
	for (char *s = ret_text; (s = strchr(s, '\n')); s++)
		*s = ' ';
}

static int
broken(struct pg *p, struct ctf_err *err)
{
	char text[300];

	said(p, text, sizeof(text));
	return ctf_fail(err, ECONNRESET, "%s: connection lost: %s", p->db.where, text);
}

static int
no_answer(struct pg *p, int r, const char *doing, struct ctf_err *err)
{
	if (r == -ETIMEDOUT)
		return ctf_fail(err, ETIMEDOUT, "%s: %s: no answer in time", p->db.where,
				doing);
	return ctf_fail(err, -r, "%s: %s: %s", p->db.where, doing, strerror(-r));
}

/* ---- connecting ------------------------------------------------------------- */

/*
 * Before the server has accepted us only the text has its SQLSTATE: "FATAL:
 * 28P01: password authentication failed ...", in any language.
 */
static int
state_errno(const char *text)
{
	static const struct {
		const char *state;
		int error;
	} states[] = { { "28", EACCES }, { "42501", EACCES }, { "3D000", ENOENT } };

	for (const char *s = text; (s = strstr(s, ":  ")); s++)
		for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
			if (strncmp(s + 3, states[i].state, strlen(states[i].state)) == 0 &&
			    strlen(s) > 8 && s[8] == ':')
				return states[i].error;
	return ECONNREFUSED;
}

static int
not_connected(struct pg *p, struct ctf_err *err)
{
	char text[300], *end;
	int error;

	said(p, text, sizeof(text));
	error = PQconnectionNeedsPassword(p->conn) ? EACCES : state_errno(text);
	end = strstr(text, " LOCATION:  ");
	if (end)
		*end = '\0';
	return ctf_fail(err, error, "%s: cannot connect: %s", p->db.where, text);
}

/* What the message names: never the password, which the error of a bad connstring quotes. */
static int
where_set(struct pg *p, struct ctf_err *err)
{
	const struct sqldb_conf *c = SQLDB_CONF(&p->db);
	PQconninfoOption *o = NULL;
	const char *host = c->host, *db = c->db;
	int r;

	if (*c->connstring)
		o = PQconninfoParse(c->connstring, NULL);
	if (*c->connstring && !o)
		return ctf_fail_opt(p->db.obj.ctx, err, "connstring",
				    "connstring is not one that libpq can read");
	for (const PQconninfoOption *i = o; i && i->keyword; i++) {
		if (i->val && strncmp(i->keyword, "host", 4) == 0)
			host = i->val;
		if (i->val && strcmp(i->keyword, "dbname") == 0)
			db = i->val;
	}
	snprintf(p->db.where, sizeof(p->db.where), "database \"%.90s\" on %.90s",
		 *db ? db : c->user, *host ? host : "the local host");
	r = sqldb_find(&p->db, host, err);
	PQconninfoFree(o);
	return r;
}

/* What is missing libpq makes up itself: from the environment, say. */
static PGconn *
begin_connect(const struct sqldb_conf *c, const char *port)
{
	const char *const all[][2] = {
		{ "application_name", "ctflowd" },
		{ "client_encoding", "UTF8" },
		{ "gssencmode", "disable" },
		{ "keepalives_idle", "30" },
		{ "keepalives_interval", "10" },
		{ "keepalives_count", "3" },
		{ "tcp_user_timeout", "30000" },
		{ "host", c->host },
		{ "port", port },
		{ "user", c->user },
		{ "password", c->pass },
		{ "dbname", *c->connstring ? c->connstring : c->db },
	};
	const char *keys[sizeof(all) / sizeof(*all) + 1], *values[sizeof(keys) / sizeof(*keys)];
	unsigned n = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (!*all[i][1])
			continue;
		keys[n] = all[i][0];
		values[n++] = all[i][1];
	}
	keys[n] = values[n] = NULL;
	return PQconnectStartParams(keys, values, *c->connstring != '\0');
}

static int
handshake(struct pg *p, struct ctf_err *err)
{
	PostgresPollingStatusType at = PGRES_POLLING_WRITING;
	int r;

	while (at != PGRES_POLLING_OK) {
		if (at == PGRES_POLLING_FAILED)
			return not_connected(p, err);
		r = sqldb_wait(&p->db, PQsocket(p->conn),
			       at == PGRES_POLLING_READING ? POLLIN : POLLOUT);
		if (r < 0)
			return no_answer(p, r, "cannot connect", err);
		at = PQconnectPoll(p->conn);
	}
	return 0;
}

int
pg_connect(struct sqldb *s, struct ctf_err *err)
{
	const struct sqldb_conf *c = SQLDB_CONF(s);
	struct pg *p = (struct pg *)s;
	char port[CTF_FMT_NUM + 1] = "";
	int r = where_set(p, err);

	if (r < 0)
		return r;
	if (c->port)
		*ctf_fmt_num(port, c->port) = '\0';
	p->conn = begin_connect(c, port);
	if (!p->conn)
		return ctf_fail(err, ENOMEM, "%s: out of memory", p->db.where);
	if (PQstatus(p->conn) == CONNECTION_BAD)
		return not_connected(p, err);
	PQsetErrorVerbosity(p->conn, PQERRORS_VERBOSE); /* with SQLSTATE */
	PQsetNoticeReceiver(p->conn, no_notices, NULL);
	r = handshake(p, err);
	if (r < 0)
		return r;
	PQsetErrorVerbosity(p->conn, PQERRORS_TERSE);
	if (PQsetnonblocking(p->conn, 1) < 0 || !PQenterPipelineMode(p->conn))
		return broken(p, err);
	return 0;
}

void
pg_close(struct sqldb *s)
{
	struct pg *p = (struct pg *)s;

	PQfinish(p->conn);
	p->conn = NULL;
	buf_free(&p->sql);
	buf_free(&p->text);
}

int
pg_fd(struct sqldb *s)
{
	return PQsocket(((struct pg *)s)->conn);
}

bool
pg_alive(struct sqldb *s)
{
	struct pg *p = (struct pg *)s;

	return PQconsumeInput(p->conn) && PQstatus(p->conn) == CONNECTION_OK;
}

/* ---- statements --------------------------------------------------------------- */

int
pg_send(struct pg *p, const char *sql, int n, const char *const *values, struct ctf_err *err)
{
	return PQsendQueryParams(p->conn, sql, n, NULL, values, NULL, NULL, 0) ? 0
									       : broken(p, err);
}

/* The next result, or NULL after those of a statement. */
static int
next_result(struct pg *p, PGresult **ret_res, struct ctf_err *err)
{
	for (;;) {
		int more = PQflush(p->conn), r;

		if (more < 0)
			return broken(p, err);
		if (!PQisBusy(p->conn)) {
			*ret_res = PQgetResult(p->conn);
			return 0;
		}
		r = sqldb_wait(&p->db, PQsocket(p->conn), POLLIN | (more ? POLLOUT : 0));
		if (r < 0)
			return no_answer(p, r, "waiting", err);
		if (r & ~POLLOUT && !PQconsumeInput(p->conn))
			return broken(p, err);
	}
}

static void
note_failure(struct pg_answer *a, unsigned i, const PGresult *res, struct ctf_err *err)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

	if (a->failed >= 0)
		return;
	a->failed = (int)i;
	snprintf(a->state, sizeof(a->state), "%.5s", state ? state : "");
	ctf_fail(err, EIO, "%s", text ? text : PQresultErrorMessage(res));
}

int
pg_answers(struct pg *p, unsigned n, bool keep, struct pg_answer *a, struct ctf_err *err)
{
	unsigned i = 0;
	int r = 0;

	*a = (struct pg_answer){ .failed = -1 };
	if (!PQpipelineSync(p->conn))
		return broken(p, err);
	while (r == 0) {
		PGresult *res = NULL;
		ExecStatusType is;

		r = next_result(p, &res, err);
		if (r == 0 && !p->db.probing)
			sqldb_expect(&p->db, SQLDB_ANSWER_MS);
		is = PQresultStatus(res); /* of NULL a fatal error */
		if (r == 0 && PQstatus(p->conn) == CONNECTION_BAD)
			r = broken(p, err);
		if (res && (is == PGRES_FATAL_ERROR || is == PGRES_BAD_RESPONSE))
			note_failure(a, i, res, err);
		if (res && i + 1 == n && is == PGRES_COMMAND_OK)
			a->rows = strtoull(PQcmdTuples(res), NULL, 10);
		if (r == 0 && keep && i + 1 == n && is == PGRES_TUPLES_OK && !a->res) {
			a->res = res;
			continue;
		}
		i += !res;
		PQclear(res);
		if (is == PGRES_PIPELINE_SYNC)
			return r;
	}
	PQclear(a->res);
	a->res = NULL;
	return r;
}

int
pg_failed(struct pg *p, const struct pg_answer *a, struct ctf_err *err)
{
	static const struct {
		const char *state;
		int error;
	} states[] = { { "40", EAGAIN }, { "42501", EACCES }, { "25006", EACCES } };
	char text[300];
	int error = EIO;

	snprintf(text, sizeof(text), "%.299s", err ? err->msg : "");
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (strncmp(a->state, states[i].state, strlen(states[i].state)) == 0)
			error = states[i].error;
	return ctf_fail(err, error, "%s: %s", p->db.where, text);
}

int
pg_exec(struct pg *p, const char *sql, int n, const char *const *values, PGresult **ret_res,
	struct pg_answer *a, struct ctf_err *err)
{
	int r = pg_send(p, sql, n, values, err);

	if (r == 0)
		r = pg_answers(p, 1, ret_res != NULL, a, err);
	if (r == 0 && a->failed >= 0)
		r = pg_failed(p, a, err);
	if (r == 0 && ret_res)
		*ret_res = a->res;
	return r;
}
