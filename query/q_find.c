/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_find.c - which databases are meant: those of -d, or of the configuration. */
#include <errno.h>
#include <stdlib.h>

#include "ch.h"
#include "open.h"
#include "q_conf.h"

static int
member(struct q *q, const struct conf *c, char *word, unsigned *n, struct ctf_err *err)
{
	const char *id, *plugin, *db, *table;

	if (!q_conf_member(word, &id, &plugin) || strcmp(plugin, "SQLITE3") != 0)
		return 0;
	db = q_conf_value(conf_find(c, id), "db", NULL);
	table = q_conf_value(conf_find(c, id), "table", NULL);
	if (!db || !table || (q->table && strcmp(q->table, table) != 0))
		return 0;
	++*n;
	return q_db_add(q, db, table, err);
}

static int
stack(struct q *q, const struct conf *c, const char *text, unsigned *n, struct ctf_err *err)
{
	char *copy = strdup(text), *save = NULL;
	int r = copy ? 0 : ctf_fail(err, ENOMEM, "out of memory");

	for (char *w = copy ? strtok_r(copy, ",", &save) : NULL; w && r == 0;
	     w = strtok_r(NULL, ",", &save))
		r = member(q, c, w, n, err);
	free(copy);
	return r;
}

static int
of_conf(struct q *q, const struct conf *c, struct ctf_err *err)
{
	const struct conf_section *global = conf_find(c, "global");
	const struct conf_entry *e = NULL;
	unsigned n = 0;
	int r = 0;

	while (r == 0 && global && (e = conf_next(global, "stack", e)))
		r = stack(q, c, e->value, &n, err);
	if (r == 0 && !n)
		return ctf_fail(err, ENOENT,
				"%s: no stack has SQLITE3%s%s; name a database with -d FILE",
				q->conf, q->table ? " with the table " : "",
				q->table ? q->table : "");
	return r;
}

static int
by_conf(struct q *q, struct ctf_err *err)
{
	struct diag diag = { 0 };
	struct conf *conf = NULL;
	int r = conf_load(q->conf, &conf, &diag);

	if (r < 0) {
		ctf_fail(err, -r, "%s: %s; name a database with -d FILE", q->conf,
			 strerror(-r));
	} else {
		r = of_conf(q, conf, err);
		conf_free(conf);
	}
	diag_free(&diag);
	return r;
}

int
q_dbs_open(struct q *q, struct ctf_err *err)
{
	const char *path;
	int r = 0;

	q->conf = q_conf_path(q);
	for (unsigned i = 0; r == 0 && (path = q_opt_nth(q, "db", i)); i++)
		r = ch_is_url(path) ? q_db_add_server(q, path, err)
				    : q_db_add_file(q, path, err);
	if (r == 0 && !q_opt(q, "db"))
		r = by_conf(q, err);
	for (const struct q_db *db = q->dbs; db && r == 0; db = db->next)
		if (q_opt(q, "exporter") && !db->ch)
			r = ctf_fail(err, EINVAL, "--exporter is for servers; %s is of one",
				     db->path);
	return r;
}
