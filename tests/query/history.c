/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history DB [--spare] [--OPTION VALUE ...]: a history out of lines of stdin,
 * through the SQLITE3 plugin itself, whose options the others are.
 *
 *   flow | seen | gap | coverage | sweep  KEY=VALUE ...
 *   fill count=N from=NS to=NS [seed=N hosts=N public=N]    random flows (history_fill.c)
 *   commit         delivers what came before
 *   spare          lets the sink work until it has nothing left to do
 *
 * The keys are in history_line.c.  Times are ns since 1970.  Compiled with another
 * HISTORY_PLUGIN it writes the same flows as that plugin does.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "history.h"
#include "log.h"
#include "sink.h"

#ifndef HISTORY_PLUGIN
#define HISTORY_PLUGIN ctf_plugin_sqlite3
#define HISTORY_FILE "db"
#define HISTORY_DEFAULT "table=\"flows\"\n"
#define HISTORY_OPTION "--table"
#endif
extern const struct ctf_plugin HISTORY_PLUGIN;

static struct {
	int argc;
	char **argv;
} args; /* for the one test this is */

void
history_commit(struct history *h)
{
	enum ctf_sent r;
	struct ctf_err err;

	plug_seal(h->plug);
	r = plug_deliver(h->plug, &err);
	for (unsigned tries = 2; r == CTF_RETRY && tries; tries--) {
		plug_close(h->plug); /* as the core does; there may be another server */
		r = plug_deliver(h->plug, &err);
	}
	ck_assert_msg(r == CTF_SENT, "%s", err.msg);
	ck_assert_uint_eq(plug_pending(h->plug), 0);
	plug_forget(h->plug);
}

void
history_encode(struct history *h)
{
	ck_assert_msg(plug_encode(h->plug) == CTF_OK, "line %u is not taken", h->line);
	if (plug_pending(h->plug) >= GROUP)
		history_commit(h);
}

void
history_spare(struct history *h)
{
	int ms;

	history_commit(h);
	while ((ms = plug_spare(h->plug)) == 0)
		;
	if (ms < 0)
		return;
	plug_close(h->plug); /* what is open only because it was written just now */
	while (plug_spare(h->plug) == 0)
		;
}

static void
line_do(struct history *h, char *text)
{
	char *kind = history_word(&text);

	if (!kind || *kind == '#')
		return;
	if (strcmp(kind, "flow") == 0 || strcmp(kind, "seen") == 0)
		history_flow(h, *kind == 's', text);
	else if (strcmp(kind, "gap") == 0)
		history_gap(h, text);
	else if (strcmp(kind, "coverage") == 0)
		history_coverage(h, text);
	else if (strcmp(kind, "sweep") == 0)
		history_sweep(h, text);
	else if (strcmp(kind, "fill") == 0)
		history_fill(h, text);
	else if (strcmp(kind, "commit") == 0)
		history_commit(h);
	else if (strcmp(kind, "spare") == 0)
		history_spare(h);
	else
		ck_abort_msg("line %u: what is \"%s\"?", h->line, kind);
}

/* "--max-size 1G" -> "max_size=1G\n" */
static void
options_read(struct history *h, char *out, size_t size, bool *ret_spare)
{
	int n = snprintf(out, size, HISTORY_FILE "=\"%s\"\n", args.argv[1]);
	bool given = false;

	*ret_spare = false;
	for (int i = 2; i < args.argc; i++) {
		const char *name = args.argv[i];
		int from = n;

		ck_assert_msg(strncmp(name, "--", 2) == 0, "what is \"%s\"?", name);
		if (strcmp(name, "--spare") == 0) {
			*ret_spare = true;
			continue;
		}
		ck_assert_msg(i + 1 < args.argc, "%s needs a value", name);
		given = given || strcmp(name, HISTORY_OPTION) == 0;
		n += snprintf(out + n, size - (size_t)n, "%s=\"%s\"\n", name + 2,
			      args.argv[++i]);
		ck_assert_int_lt(n, (int)size);
		for (char *c = out + from; *c != '='; c++)
			if (*c == '-')
				*c = '_';
	}
	if (!given)
		snprintf(out + n, size - (size_t)n, HISTORY_DEFAULT);
}

START_TEST(history)
{
	struct history h = { .line = 0 };
	char options[2048], *text = NULL;
	size_t room = 0;
	bool spare;

	options_read(&h, options, sizeof(options), &spare);
	h.plug = plug_new(&HISTORY_PLUGIN, options);
	history_slots(&h);
	while (getline(&text, &room, stdin) >= 0) {
		h.line++;
		line_do(&h, text);
	}
	free(text);
	history_commit(&h);
	if (spare)
		history_spare(&h);
	plug_free(h.plug);
}
END_TEST

/* The helpers of the unit tests want to be part of one; here it is the program. */
int
main(int argc, char **argv)
{
	Suite *s = suite_create("history");
	TCase *t = tcase_create("history");
	SRunner *r = srunner_create(s);
	int failed;

	if (argc < 2) {
		fprintf(stderr, "usage: history FILE [--spare] [--OPTION VALUE ...] < LINES\n");
		return EXIT_FAILURE;
	}
	args.argc = argc;
	args.argv = argv;
	log_open("stderr");
	suite_add_tcase(s, t);
	tcase_add_test(t, history);
	srunner_set_fork_status(r, CK_NOFORK);
	srunner_run_all(r, CK_SILENT);
	failed = srunner_ntests_failed(r);
	if (failed) {
		srunner_print(r, CK_NORMAL);
		fflush(stdout);
		_exit(EXIT_FAILURE); /* what it held is no leak */
	}
	srunner_free(r);
	return EXIT_SUCCESS;
}
