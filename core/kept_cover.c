/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The end of the last coverage, in case an output that stood still at the stop
 * never got it: it would take the downtime for a loss.
 */
#include "pump.h"
#include "sink.h"

#define TEXTS 6u
#define TEXT 256u

struct kept_cover {
	_Atomic uint32_t whole;
	struct ctf_coverage c; /* its pointers mean nothing */
	char text[TEXTS][TEXT];
};

static void
texts_of(struct ctf_coverage *c, const char **ret_text[TEXTS])
{
	ret_text[0] = &c->exporter;
	ret_text[1] = &c->instance;
	ret_text[2] = &c->boot_id;
	ret_text[3] = &c->selection;
	ret_text[4] = &c->netns;
	ret_text[5] = &c->abilities;
}

static struct kept_cover *
kept(struct input *in, bool *ret_kept)
{
	return ctf_state(&in->ctx, "coverage", sizeof(struct kept_cover), ret_kept);
}

void
kept_coverage(struct input *in, const struct ctf_coverage *cov)
{
	const char **text[TEXTS];
	struct kept_cover *k;
	bool old;

	if (!cov->to_ns || cov->nsid != -1 || !kept_page(&in->ctx))
		return;
	k = kept(in, &old);
	if (!k)
		return;
	k->whole = 0;
	k->c = *cov;
	texts_of(&k->c, text);
	for (unsigned i = 0; i < TEXTS; i++) {
		const char *s = *text[i] ? *text[i] : "";

		if (strlen(s) >= TEXT)
			return; /* without it */
		strcpy(k->text[i], s);
	}
	k->whole = 1;
}

static bool
somebody_missed_it(const struct input *in)
{
	for (unsigned i = 0; i < in->nstacks; i++)
		if (in->stacks[i]->enc->sink->left.behind)
			return true;
	return false;
}

void
kept_tell_coverage(struct input *in)
{
	const char **text[TEXTS];
	struct kept_cover *k, mine;
	bool old = false;

	if (in->earlier.ended != CTF_ENDED_CLEAN || !somebody_missed_it(in))
		return;
	k = kept(in, &old);
	if (!k || !old || k->whole != 1)
		return;
	mine = *k; /* reporting it writes there */
	texts_of(&mine.c, text);
	for (unsigned i = 0; i < TEXTS; i++) {
		mine.text[i][TEXT - 1] = '\0';
		*text[i] = mine.text[i];
	}
	ctf_report_coverage(&in->ctx, &mine.c);
}
