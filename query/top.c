/* SPDX-License-Identifier: GPL-2.0-or-later */
/* top.c - ctflow top and sum: who talks most, and how much in all. */
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "engine.h"
#include "sums.h"

#define DEFAULT_N 10u

struct asked {
	struct sums s;
	struct q_words words;
	enum tally_by by;
	size_t n; /* rows of top */
	bool top;
};

static const struct q_option options[] = {
	{ "names", NULL, "the names of addresses, too, where the filter NAMES gave some" },
	{ NULL },
};

/* Takes the word in front, if there is one; else NULL. */
static const char *
word(struct asked *a)
{
	if (!a->words.argc)
		return NULL;
	a->words.argc--;
	return *a->words.argv++;
}

static int
by_read(struct asked *a, struct ctf_err *err)
{
	const char *w = word(a);

	a->by = 0;
	while (w && a->by < TALLY_BY && strcasecmp(tally_by_name(a->by), w) != 0)
		a->by++;
	if (w && a->by < TALLY_BY)
		return 0;
	return ctf_fail(err, EINVAL,
			"behind \"by\" goes bytes, packets or flows; of one direction"
			" orig_bytes, reply_bytes, orig_packets or reply_packets");
}

static int
unit_read(struct asked *a, struct ctf_err *err)
{
	const char *w = word(a);
	int unit = w ? sums_unit_of(w) : -1;

	if (unit < 0)
		return ctf_fail(err, EINVAL,
				"behind \"per\" goes minute, hour, day, week or month");
	a->s.unit = (enum sums_unit)unit;
	return 0;
}

static int
key_read(struct asked *a, const char *w, struct ctf_err *err)
{
	char names[200] = "";
	size_t n = 0;

	a->s.key = sums_key_of(w);
	if (a->s.key < SUMS_KEYS)
		return 0;
	for (enum sums_key k = 0; k < SUMS_ALL; k++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, " %s", sums_key_name(k));
	return ctf_fail(err, EINVAL, "no key \"%.40s\"; there are%s", w, names);
}

/* [N] KEY [by WHAT] [per UNIT], in any order but for N. */
static int
words_read(struct asked *a, struct ctf_err *err)
{
	const char *w;
	int r = 0;

	if (a->words.argc && strspn(a->words.argv[0], "0123456789") == strlen(a->words.argv[0]))
		a->n = strtoul(word(a), NULL, 10);
	while (r == 0 && (w = word(a))) {
		if (strcasecmp(w, "by") == 0)
			r = by_read(a, err);
		else if (strcasecmp(w, "per") == 0)
			r = unit_read(a, err);
		else
			r = key_read(a, w, err);
	}
	if (r == 0 && a->words.limit)
		a->n = a->words.limit;
	return r;
}

static int
answer(struct q *q, int argc, char **argv, struct asked *a, struct ctf_err *err)
{
	int r = q_words(q, argc, argv, Q_W_ALL, &a->words, err);

	a->s.q = q;
	a->s.words = &a->words;
	if (r == 0)
		r = words_read(a, err);
	if (r == 0 && a->s.unit != SUMS_WHOLE && a->top)
		r = ctf_fail(err, EINVAL, "\"per\" is for ctflow sum");
	a->s.most = a->n;
	a->s.by = a->by;
	if (r == 0 && q_opt(q, "names") && q_has_server(q))
		r = ctf_fail(err, EINVAL, "--names is not offered on a server");
	if (r == 0)
		r = sums_collect(&a->s, err);
	if (r == 0)
		r = sums_print(&a->s, a->by, a->n, err);
	tally_free(&a->s.tally);
	q_words_free(&a->words);
	return r;
}

static int
run_top(struct q *q, int argc, char **argv)
{
	struct asked a = { .s.key = SUMS_SRC, .n = DEFAULT_N, .top = true };
	struct ctf_err err = { .msg = "" };
	int r = answer(q, argc, argv, &a, &err);

	return r < 0 ? q_failed(q, r, &err) : 0;
}

static int
run_sum(struct q *q, int argc, char **argv)
{
	struct asked a = { .s.key = SUMS_ALL };
	struct ctf_err err = { .msg = "" };
	int r = answer(q, argc, argv, &a, &err);

	return r < 0 ? q_failed(q, r, &err) : 0;
}

const struct q_verb q_verb_top = {
	.name = "top",
	.args = "[N] KEY [by bytes|packets|flows] [where EXPR] [since TIME] [until TIME]",
	.doc = "who has most: src dst host nat_src nat_dst service port dport sport proto zone "
	       "mark",
	.options = options,
	.run = run_top,
	.server = true,
};

const struct q_verb q_verb_sum = {
	.name = "sum",
	.args = "[KEY] [per minute|hour|day|week|month] [where EXPR] [since TIME] [until TIME]",
	.doc = "how much it was in all, or for each key and unit of time",
	.options = options,
	.run = run_sum,
	.server = true,
};
