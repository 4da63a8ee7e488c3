/* SPDX-License-Identifier: GPL-2.0-or-later */
/* who.c - ctflow who: the question, and the verdict. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>

#include "ch.h"
#include "engine.h"
#include "who.h"

#define SKEW_NS WHO_SEC
/* The daemon says that it lives every 10 s. */
#define WAIT_NS (16 * WHO_SEC)

/* ---- the question --------------------------------------------------------------- */

static int
proto_parse(const char *word)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "tcp", IPPROTO_TCP },
		      { "udp", IPPROTO_UDP },
		      { "icmp", IPPROTO_ICMP },
		      { "icmp6", IPPROTO_ICMPV6 },
		      { "icmpv6", IPPROTO_ICMPV6 },
		      { "sctp", IPPROTO_SCTP },
		      { "dccp", IPPROTO_DCCP },
		      { "gre", IPPROTO_GRE },
		      { "udplite", IPPROTO_UDPLITE },
		      { "esp", IPPROTO_ESP },
		      { "ah", IPPROTO_AH } };
	char *end;
	long n = strtol(word, &end, 10);

	if (*word && !*end && n >= 0 && n <= 255)
		return (int)n;
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcasecmp(word, names[i].name) == 0)
			return names[i].number;
	return -1;
}

static int
time_parse(const struct q *q, int argc, char **argv, int64_t *ret_ns, struct ctf_err *err)
{
	char text[128];
	size_t used = 0;

	if (argc == 0)
		return ctf_fail(err, EINVAL, "at what time?");
	for (int i = 0; i < argc && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 argv[i]);
	if (used >= sizeof(text))
		return ctf_fail(err, EINVAL, "the time is too long");
	return q_when(q, text, ret_ns, err);
}

static int
options_parse(const struct q *q, struct who_ask *a, struct ctf_err *err)
{
	const char *skew = q_opt(q, "skew"), *dst = q_opt(q, "dst");
	int r = skew ? q_length(skew, &a->skew_ns, err) : 0;

	if (r == 0 && a->skew_ns < 0)
		return ctf_fail(err, EINVAL, "--skew %s is below 0", skew);
	if (r == 0 && dst)
		r = q_addr_parse(dst, &a->dst, &a->dport, err);
	a->trust_clock = q_opt(q, "trust-clock") != NULL;
	return r;
}

/* ADDR[:PORT] [PROTOCOL] at TIME */
static int
ask_parse(const struct q *q, int argc, char **argv, struct who_ask *a, struct ctf_err *err)
{
	int i = 1, r;

	*a = (struct who_ask){
		.port = -1, .dport = -1, .proto = -1, .skew_ns = SKEW_NS, .at_ns = q->now_ns
	};
	if (argc < 1)
		return ctf_fail(err, EINVAL, "whose address?");
	r = q_addr_parse(argv[0], &a->addr, &a->port, err);
	if (r == 0 && i < argc && strcasecmp(argv[i], "at") != 0) {
		a->proto = proto_parse(argv[i]);
		if (a->proto < 0)
			return ctf_fail(err, EINVAL, "\"%.40s\" is not a protocol, nor \"at\"",
					argv[i]);
		i++;
	}
	if (r == 0 && i < argc && strcasecmp(argv[i], "at") != 0)
		return ctf_fail(err, EINVAL, "\"%.40s\": \"at\" is expected", argv[i]);
	a->now = i == argc;
	if (r == 0 && !a->now)
		r = time_parse(q, argc - i - 1, argv + i + 1, &a->at_ns, err);
	if (r == 0)
		r = options_parse(q, a, err);
	if (r == 0 && a->at_ns - a->skew_ns > q->now_ns)
		return ctf_fail(err, EINVAL, "that time is still to come");
	a->from_ns = a->at_ns - a->skew_ns;
	a->to_ns = a->at_ns + a->skew_ns;
	if (a->to_ns > q->now_ns)
		a->to_ns = q->now_ns;
	return r;
}

/* ---- the verdict ------------------------------------------------------------------ */

const char *const who_verdict_words[] = { [WHO_ONE] = "ONE",
					  [WHO_NONE] = "NONE",
					  [WHO_SEVERAL] = "SEVERAL",
					  [WHO_UNKNOWN] = "UNKNOWN" };

/* No two entries of a connection table answer to the same reply. */
static bool
excludes_others(const struct who_ask *a, const struct who_match *m)
{
	bool until = m->f.open ? m->f.seen_ns >= a->to_ns || m->sure_if_heard
			       : m->f.stamped && m->f.at_ns >= a->to_ns;

	return m->sure && a->port >= 0 && a->proto >= 0 && a->dst.family && a->dport >= 0 &&
	       m->f.zone == 0 && m->f.nsid < 0 && m->f.start_ns <= a->from_ns && until;
}

/* At another time than the one asked about, it may be. */
static bool
clock_doubted(const struct who_cover *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->reasons[i].why == WHO_CLOCK || c->reasons[i].why == WHO_STEP)
			return true;
	return false;
}

static bool
any_excludes(const struct who_answer *w)
{
	if (clock_doubted(&w->cover) || w->several)
		return false;
	for (unsigned i = 0; i < w->found.n; i++)
		if (excludes_others(&w->ask, &w->found.m[i]))
			return true;
	return false;
}

/* Something may be missing of that very time, and not only of what came later. */
static bool
hole_then(const struct who_cover *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->reasons[i].then)
			return true;
	return false;
}

static void
doubts_say(struct who_answer *w)
{
	for (unsigned i = 0; i < w->found.n; i++) {
		const struct who_match *m = &w->found.m[i];

		if (m->sure || !m->doubt)
			continue;
		who_reason(&w->cover, m->f.start_ns == Q_NEVER ? WHO_TIMES : WHO_OPEN, true,
			   w->ask.from_ns, w->ask.to_ns, "of a flow found: %s", m->doubt);
		return;
	}
}

void
who_judge(struct who_answer *w)
{
	unsigned sure = who_hosts(&w->found, true), all = who_hosts(&w->found, false);
	bool whole = w->cover.n == 0 && w->cover.proven_ns != Q_NEVER && !w->found.more &&
		     !w->found.partly;

	w->certain = whole;
	if (all > 1 && sure) {
		w->verdict = WHO_SEVERAL;
		w->certain = whole && sure == all;
	} else if (all == 1 && sure) {
		w->certain = whole || any_excludes(w);
		w->verdict = w->certain || !hole_then(&w->cover) ? WHO_ONE : WHO_UNKNOWN;
	} else if (all) {
		w->verdict = WHO_UNKNOWN;
		doubts_say(w);
	} else {
		w->verdict = whole ? WHO_NONE : WHO_UNKNOWN;
	}
	if (w->verdict == WHO_UNKNOWN)
		w->certain = false;
}

/* ---- one look at everything --------------------------------------------------------- */

/* Rows, coverage and gaps of one moment. */
static int
databases_ask(struct q *q, struct who_answer *w, struct ctf_err *err)
{
	unsigned n = 0;
	int r;

	for (unsigned i = 0; i < w->found.n; i++) { /* the kernel's stay */
		if (w->found.m[i].live)
			w->found.m[n++] = w->found.m[i];
		else
			free(w->found.m[i].raw);
	}
	w->found.n = n;
	w->cover = (struct who_cover){ .n = 0 };
	q_dbs_end(q, NULL);
	r = q_dbs_begin(q, Q_N_COVERAGE | Q_N_GAPS | Q_N_SWEEPS | Q_N_META, w->ask.at_ns, err);
	for (struct q_db *db = q->dbs; db && r == 0; db = db->next)
		r = db->engine->find(q, db, &w->ask, &w->found, err);
	who_matches_tidy(&w->found);
	return r ? r : who_cover(q, &w->ask, &w->live, &w->found, &w->cover, err);
}

/* All that is missing is the daemon's word up to when we looked. */
static bool
worth_waiting(const struct q *q, const struct who_answer *w)
{
	return w->verdict == WHO_UNKNOWN && w->found.n == 0 && w->live.read && w->live.whole &&
	       !q_opt(q, "no-wait") && w->cover.n == 1 &&
	       (w->cover.reasons[0].why == WHO_OPEN || w->cover.reasons[0].why == WHO_RECENT) &&
	       (int64_t)ctf_now() - w->live.at_ns < WAIT_NS;
}

static int
find_out(struct q *q, struct who_answer *w, struct ctf_err *err)
{
	/* What ends after it is read is in the databases. */
	int r = who_live(q, &w->ask, &w->found, &w->live, err);

	if (r == 0)
		r = databases_ask(q, w, err);
	if (r == 0)
		who_judge(w);
	while (r == 0 && worth_waiting(q, w)) {
		q_progress(q, (uint64_t)(((int64_t)ctf_now() - w->live.at_ns) / WHO_SEC),
			   WAIT_NS / WHO_SEC);
		q_sleep(q, 250);
		if (q_cancelled(q))
			r = -EINTR;
		if (r == 0)
			r = databases_ask(q, w, err);
		if (r == 0)
			who_judge(w);
	}
	q_progress_end(q);
	return r;
}

static int
answer(struct q *q, struct who_answer *w)
{
	const char *evidence = q_opt(q, "evidence");
	struct ctf_err err = { .msg = "" };
	int r = find_out(q, w, &err);

	if (r == 0 && evidence)
		r = who_evidence(q, w, evidence, &err);
	if (r == 0)
		r = who_say(q, w, &err);
	q_dbs_end(q, NULL);
	return r < 0 ? q_failed(q, r, &err) : (int)w->verdict;
}

/* Exporters of servers, beside each other or files. */
static bool
several(const struct q *q)
{
	unsigned n = 0, files = 0;

	for (const struct q_db *db = q->dbs; db; db = db->next)
		if (db->ch)
			n += db->ch->nexporters;
		else
			files = 1;
	return n && n + files > 1;
}

static int
run(struct q *q, int argc, char **argv)
{
	const char *verify = q_opt(q, "verify");
	struct who_answer w = { .certain = false };
	struct ctf_err err = { .msg = "" };
	int r;

	if (verify)
		return who_verify(q, verify);
	r = ask_parse(q, argc, argv, &w.ask, &err);
	if (r < 0)
		return q_usage(q, "%s", err.msg);
	r = q_dbs_open(q, &err);
	if (r < 0)
		return q_failed(q, r, &err);
	w.several = several(q);
	r = answer(q, &w);
	who_matches_free(&w.found);
	return r;
}

static const struct q_option options[] = {
	{ "skew", "TIME", "how far the clock of who asks may be off; default 1s", 0, false },
	{ "dst", "ADDR[:PORT]", "the other side of it", 0, false },
	{ "trust-clock", NULL, "take the gateway's clock for right, whatever it said", 0,
	  false },
	{ "no-live", NULL, "do not look at the kernel's connection table", 0, false },
	{ "no-wait", NULL, "do not wait for what the daemon has not stored yet", 0, false },
	{ "evidence", "FILE", "write all that the answer rests on into a file", 0, false },
	{ "verify", "FILE", "check that such a file is unchanged", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

const struct q_verb q_verb_who = {
	.name = "who",
	.args = "ADDR[:PORT] [tcp|udp|...] [at TIME]",
	.doc = "who had an address and port at a time",
	.options = options,
	.run = run,
	.offline = true, /* it opens them when it has to */
	.server = true,
};
