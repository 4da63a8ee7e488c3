/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ch_settings.c - settings of a user's profile that leave rows out of answers.
 *
 * A limit may end an answer as if there were no more rows, and it looks whole.  Such
 * settings are set back in every question; where that is not allowed, nothing is
 * asked: what is missing would be taken for what never was.
 */
#include <errno.h>
#include <stdlib.h>

#include "ch_engine.h"

static const struct {
	const char *name, *value; /* as a URL has it */
} wanted[] = {
	{ "limit", "0" },
	{ "offset", "0" },
	{ "skip_unavailable_shards", "0" },
	{ "distributed_group_by_no_merge", "0" },
	{ "use_query_cache", "0" }, /* flows older than the coverage that was just read */
	{ "additional_result_filter", "" },
	{ "additional_table_filters", "%7B%7D" },
	{ "timeout_overflow_mode", "throw" },
	{ "timeout_overflow_mode_leaf", "throw" },
	{ "read_overflow_mode", "throw" },
	{ "read_overflow_mode_leaf", "throw" },
	{ "result_overflow_mode", "throw" },
	{ "group_by_overflow_mode", "throw" },
	{ "sort_overflow_mode", "throw" },
	{ "distinct_overflow_mode", "throw" },
	{ "set_overflow_mode", "throw" },
	{ "join_overflow_mode", "throw" },
	{ "transfer_overflow_mode", "throw" },
};
#define WANTED (sizeof(wanted) / sizeof(*wanted))

/* One row, which a limit does not cut: whether they may be set, and which are otherwise. */
static void
put_question(struct ch_text *t)
{
	ch_put(t, "SELECT max(name = 'readonly'), max(name = 'readonly' AND value = '1'),"
		  " arrayStringConcat(groupArray(name), ' ') FROM system.settings WHERE"
		  " name = 'readonly' OR (value NOT IN ('0', 'false', '', '{}', 'throw')"
		  " AND name IN (");
	for (size_t i = 0; i < WANTED; i++)
		ch_putf(t, "%s'%s'", i ? ", " : "", wanted[i].name);
	ch_put(t, "))");
}

static bool
has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text; text += *text == ' ') {
		size_t len = strcspn(text, " ");

		if (len == n && strncmp(text, word, n) == 0)
			return true;
		text += len;
	}
	return false;
}

/* Appends one to what every question begins with. */
static int
set_back(struct ch *ch, size_t i, struct ctf_err *err)
{
	char *url;

	if (asprintf(&url, "%s&%s=%s", ch->url, wanted[i].name, wanted[i].value) < 0)
		return ctf_fail(err, ENOMEM, "out of memory");
	free(ch->url);
	ch->url = url;
	return 0;
}

static int
row_look(struct ch *ch, struct ch_answer *a, struct ctf_err *err)
{
	const char *names = ch_cell(a, 2) ? ch_cell(a, 2) : "";
	bool told = ch_int(a, 0) == 1, fixed = ch_int(a, 1) != 0;
	int r = ch_check(a, err);

	if (r == 0 && !told)
		return ctf_fail(err, EIO, "%s: it does not tell its settings", ch->name);
	for (size_t i = 0; i < WANTED && r == 0; i++) {
		if (!has_word(names, wanted[i].name))
			continue;
		if (fixed)
			return ctf_fail(
				err, EACCES,
				"%s: this user's setting %s leaves rows out of answers"
				" unheard, and readonly=1 keeps it: its profile must not"
				" have it, or readonly=2",
				ch->name, wanted[i].name);
		r = set_back(ch, i, err);
	}
	return r;
}

int
ch_settings(struct q *q, struct ch *ch, struct ctf_err *err)
{
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	bool told = false;
	int more, r;

	put_question(&query.sql);
	r = ch_ask(q, ch, &query, &a, err);
	while (r == 0 && (more = ch_row(a, 3, err)) != 0) {
		r = more < 0 ? more : row_look(ch, a, err);
		told = true;
	}
	if (r == 0 && !told)
		r = ctf_fail(err, EIO, "%s: it does not tell its settings", ch->name);
	ch_answer_free(a);
	ch_query_free(&query);
	return r;
}
