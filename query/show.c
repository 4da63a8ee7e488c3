/* SPDX-License-Identifier: GPL-2.0-or-later */
/* show.c - ctflow show, export and open: flows that fit an expression. */
#include <errno.h>

#include "show.h"

static int
flows(struct q *q, int argc, char **argv, struct q_ask *ask)
{
	struct ctf_err err = { .msg = "" };
	struct q_words w;
	int r = show_words(q, argc, argv, &w, ask, &err);

	if (r == 0)
		r = show_flows(q, ask, &err);
	q_words_free(&w);
	return r < 0 ? q_failed(q, r, &err) : 0;
}

static int
run_show(struct q *q, int argc, char **argv)
{
	struct q_ask ask = Q_ASK_ALL;

	return flows(q, argc, argv, &ask);
}

const struct q_verb q_verb_show = {
	.name = "show",
	.args = "[EXPR] [since TIME] [until TIME] [limit N]",
	.doc = "flows that fit an expression, the oldest first; limit: the newest N of them",
	.run = run_show,
	.server = true,
};

static int
run_open(struct q *q, int argc, char **argv)
{
	struct q_ask ask = Q_ASK_ALL;

	ask.ended = false;
	ask.open = true;
	return flows(q, argc, argv, &ask);
}

const struct q_verb q_verb_open = {
	.name = "open",
	.args = "[EXPR] [since TIME] [until TIME] [limit N]",
	.doc = "flows that were alive when the table was last looked through",
	.run = run_open,
	.server = true,
};

/* ---- export ------------------------------------------------------------------- */

static const struct q_option export_options[] = {
	{ "open", NULL, "those that are still alive, too" },
	{ NULL },
};

static int
run_export(struct q *q, int argc, char **argv)
{
	struct q_ask ask = Q_ASK_ALL;

	if (!q_opt(q, "output"))
		q->format = Q_CSV;
	if (argc && (strcmp(argv[0], "csv") == 0 || strcmp(argv[0], "ndjson") == 0)) {
		if (q_opt(q, "output"))
			return q_usage(q, "the format is given twice");
		q->format = argv[0][0] == 'c' ? Q_CSV : Q_NDJSON;
		argc--;
		argv++;
	}
	if (q->format == Q_TABLE)
		return q_usage(q,
			       "a table is for people; export makes csv, ndjson, json or tsv");
	ask.open = q_opt(q, "open") != NULL;
	return flows(q, argc, argv, &ask);
}

const struct q_verb q_verb_export = {
	.name = "export",
	.args = "[csv|ndjson] [EXPR] [since TIME] [until TIME] [limit N]",
	.doc = "flows for other programs, as many as there are",
	.options = export_options,
	.run = run_export,
	.server = true,
};
