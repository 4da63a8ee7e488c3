/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan: the stack= lines split into instances, and the options of each
 * instance parsed and probed, once per id.  Nothing is wired yet.
 */
#include <errno.h>
#include <stdlib.h>

#include "graph.h"
#include "opt.h"
#include "reload.h"
#include "packets.h"

#define ID_MAX 256u

const struct ctf_opt out_opts[] = {
	{ "queue", CTF_OSIZE, offsetof(struct out_conf, queue), 64 * 1024, UINT64_C(1) << 40,
	  "64M", NULL, "bytes kept in memory while the output is away or slow" },
	{ "overflow", CTF_OENUM, offsetof(struct out_conf, overflow), 0, 0, "auto",
	  "auto|drop-old|block",
	  "when the queue is full: drop-old drops the oldest, counted as a gap; block lets the "
	  "input wait, which only REPLAY can for long; auto: block for REPLAY, else drop-old" },
	{ "reconnect", CTF_OMSEC, offsetof(struct out_conf, reconnect), 0, 3600 * 1000, "1",
	  NULL,
	  "first delay before opening again; doubles up to a minute; 0, with which ulogd2 "
	  "gives "
	  "up for good: 1" },
	{ "gaps", CTF_OBOOL, offsetof(struct out_conf, gaps), 0, 0, "yes", NULL,
	  "write a record of what was lost, where it stood" },
	{ "interim", CTF_OENUM, offsetof(struct out_conf, interim), 0, 0, "auto",
	  "auto|none|presence|counters",
	  "of flows that live when the table is swept (active_timeout): nothing, that they do, "
	  "or their counters too; auto: presence, databases as their table allows" },
	{ "spool_dir", CTF_OTEXT, offsetof(struct out_conf, spool_dir), 0, 4000, "", NULL,
	  "folder in which this output has one of its own, for what it could not deliver: that "
	  "is then on disk and outlives the daemon; empty: memory alone" },
	{ "spool_max", CTF_OSIZE, offsetof(struct out_conf, spool_max), 1024 * 1024,
	  UINT64_C(1) << 50, "1G", NULL,
	  "bytes on disk; when they are used up, and the queue is full as well, the oldest are "
	  "dropped, counted as a gap" },
	{ "spool_sync", CTF_OMSEC, offsetof(struct out_conf, spool_sync), 0, 3600 * 1000, "1",
	  NULL,
	  "what was not delivered within that time is written to disk; 0: it is written before "
	  "it is delivered" },
	{ "replay_rate", CTF_OUINT, offsetof(struct out_conf, replay_rate), 0, UINT32_MAX, "0",
	  NULL,
	  "of what had to wait while the output was away, deliver at most so many flows a "
	  "second; 0: as fast as it takes them" },
	{ 0 },
};

static unsigned
inst_sets(struct inst *in, struct opt_set sets[2])
{
	unsigned n = 0;

	if (in->plugin->opts && !in->conf_gen)
		sets[n++] = (struct opt_set){ in->plugin->opts, in->conf, NULL,
					      in->plugin->presets };
	if (in->plugin->role == CTF_OUTPUT)
		sets[n++] = (struct opt_set){ out_opts, &in->out, NULL, NULL };
	return n;
}

static void
inst_free(struct inst *in)
{
	struct opt_set sets[2];

	if (in->probed && in->plugin->unprobe)
		in->plugin->unprobe(in->conf);
	if (in->conf && !in->bad)
		opt_free(sets, inst_sets(in, sets));
	if (!in->conf_gen)
		free(in->conf);
	gen_unref(in->conf_gen);
	free(in->id);
	free(in);
}

/* What is only for an output with a spool. */
static void
say_no_spool(const struct ctf_ctx *ctx)
{
	static const char *const names[] = { "spool_max", "spool_sync" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		ctf_doubt_opt(ctx, names[i], "it has no meaning without spool_dir");
}

static int
inst_probe(struct inst *in, struct diag *diag)
{
	struct ctf_ctx ctx = { .inst = in, .diag = diag };
	struct ctf_err err = { 0 };
	int ret;

	if (in->plugin->role == CTF_OUTPUT && !*in->out.spool_dir)
		say_no_spool(&ctx);
	if (!in->plugin->probe)
		return 0;
	in->probed = true;
	ret = in->plugin->probe(in->conf, &ctx, &err);
	if (ret) {
		if (in->plugin->unprobe)
			in->plugin->unprobe(in->conf);
		in->probed = false;
		if (!err.file) {
			err.file = in->file;
			err.line = in->sec ? in->sec->line : 0;
		}
		diag_err(diag, &err);
	}
	return ret;
}

static struct inst *
inst_find(const struct plan *plan, const char *id, const struct ctf_plugin *pl)
{
	struct inst *in = plan->insts;

	while (in && (in->plugin != pl || strcmp(in->id, id) != 0))
		in = in->next;
	return in;
}

/*
 * An output of a reload is at work: with the same options it has what probe()
 * would find, which may have to wait for a server, or for a lock of ours.
 */
static bool
borrow(struct inst *in, const struct plan *plan)
{
	const struct inst *old;
	struct opt_set sets[2];

	if (!plan->before || in->plugin->role != CTF_OUTPUT || !in->plugin->probe)
		return false;
	old = inst_find(&plan->before->setup.plan, in->id, in->plugin);
	if (!old || old->bad || reload_differs(old, in))
		return false;
	inst_sets(in, sets);
	opt_free(sets, in->plugin->opts ? 1 : 0);
	free(in->conf);
	in->conf = old->conf;
	in->conf_gen = old->conf_gen ? old->conf_gen : plan->before;
	in->conf_gen->refs++;
	return true;
}

/* Parses what the section says; what is wrong is said once per id. */
static int
inst_parse(struct inst *in, const struct plan *plan, struct diag *diag)
{
	const struct conf *conf = plan->conf;
	const char *section = in->of ? in->of->id : in->id;
	struct opt_set sets[2];
	unsigned n = inst_sets(in, sets);
	int ret;

	in->file = conf->file;
	in->sec = conf_find(conf, section);
	ret = opt_parse(sets, n, in->sec, section, conf->file, diag);
	if (ret) {
		in->bad = true;
		return ret;
	}
	ret = borrow(in, plan) ? 0 : inst_probe(in, diag);
	if (ret) {
		opt_free(sets, n);
		in->bad = true;
	}
	return ret;
}

static int
inst_new(struct plan *plan, const char *id, const struct ctf_plugin *pl,
	 const struct inst *copy_of, unsigned nth, struct diag *diag, struct inst **ret_inst)
{
	struct inst *in = calloc(1, sizeof(*in)), **end = &plan->insts;

	if (in) {
		in->plugin = pl;
		in->of = copy_of;
		in->nth = nth;
		in->id = strdup(id);
		in->conf = calloc(1, pl->conf_size ? pl->conf_size : 1);
	}
	if (!in || !in->id || !in->conf) {
		if (in)
			inst_free(in);
		return -ENOMEM;
	}
	while (*end)
		end = &(*end)->next;
	*end = in;
	inst_parse(in, plan, diag);
	*ret_inst = in;
	return 0;
}

/* The instance of that id and plugin; an id may serve two plugins (ulogd2). */
static int
inst_get(struct plan *plan, const char *id, const struct ctf_plugin *pl, unsigned line,
	 struct diag *diag, struct inst **ret_inst)
{
	struct inst *in = inst_find(plan, id, pl);

	if (in && in->of) {
		diag_error(diag, plan->conf->file, line,
			   "%s is the name of a collector of %s: it cannot be an id", id,
			   in->of->id);
		return -EEXIST;
	}
	if (in) {
		*ret_inst = in;
		return 0;
	}
	return inst_new(plan, id, pl, NULL, 0, diag, ret_inst);
}

int
plan_copy_inst(struct plan *plan, const struct inst *of, unsigned nth, struct inst **ret_inst)
{
	struct diag again = { 0 }; /* all was said of the first */
	char id[ID_MAX + 16];
	struct inst *in;
	int ret = 0;

	snprintf(id, sizeof(id), "%s.%u", of->id, nth + 1);
	in = inst_find(plan, id, of->plugin);
	if (in && in->of != of)
		return -EEXIST;
	if (!in)
		ret = inst_new(plan, id, of->plugin, of, nth, &again, &in);
	diag_free(&again);
	if (!ret)
		*ret_inst = in;
	return ret;
}

/* One "id:PLUGIN"; the text may be changed. */
static int
add_member(struct plan *plan, struct stack *st, char *token, struct plugin_set *set,
	   struct diag *diag)
{
	const char *file = plan->conf->file;
	const struct ctf_plugin *pl;
	struct ctf_err err = { 0 };
	char *colon = strchr(token, ':');
	int ret;

	if (!colon || colon == token || strlen(token) > ID_MAX) {
		diag_error(diag, file, st->line, "syntax error in stack at `%s': not id:PLUGIN",
			   token);
		return -EINVAL;
	}
	*colon = '\0';
	pl = plugin_find(set, colon + 1, &err);
	if (!pl) {
		err.file = file;
		err.line = st->line;
		diag_err(diag, &err);
		return -ENOENT;
	}
	ret = inst_get(plan, token, pl, st->line, diag, &st->member[st->n]);
	if (!ret)
		st->n++;
	return ret;
}

static int
check_order(const struct stack *st, const char *file, struct diag *diag)
{
	for (unsigned i = 0; i < st->n; i++) {
		enum ctf_role want = i == 0           ? CTF_INPUT
				     : i + 1 == st->n ? CTF_OUTPUT
						      : CTF_FILTER;
		const struct inst *in = st->member[i];

		if (in->plugin->role == want && st->n > 1)
			continue;
		diag_error(diag, file, st->line, "%s:%s: %s", in->id, in->plugin->name,
			   i == 0 && want != in->plugin->role
				   ? "first plugin in stack has to be source plugin"
			   : i + 1 == st->n ? "last plugin in stack has to be output plugin"
					    : "only a filter can stand here in a stack");
		return -EINVAL;
	}
	return 0;
}

static bool
written_before(const struct stack *st, unsigned pos, const char *field)
{
	while (pos-- > 0)
		for (const struct ctf_port *w = st->member[pos]->plugin->writes; w && w->name;
		     w++)
			if (strcmp(w->name, field) == 0)
				return true;
	return false;
}

/*
 * The fields of a stack that will not be wired, because an option of a member
 * is wrong: what else is wrong with it is to be said as well.
 */
static void
check_reads(const struct stack *st, const char *file, struct diag *diag)
{
	for (unsigned i = 0; i < st->n; i++) {
		const struct ctf_plugin *pl = st->member[i]->plugin;

		for (const struct ctf_port *r = pl->reads; r && r->name; r++)
			if (!(r->flags & CTF_OPTIONAL) && !written_before(st, i, r->name)) {
				diag_error(diag, file, st->line, FIELD_MISSING, r->name,
					   pl->name);
				return;
			}
	}
}

/* Splits the text into members; all are looked at, so that every mistake is said. */
static int
add_members(struct plan *plan, struct stack *st, char *text, struct plugin_set *set,
	    struct diag *diag)
{
	char *save = NULL;
	int ret = 0;

	for (char *t = strtok_r(text, ",", &save); t; t = strtok_r(NULL, ",", &save)) {
		if (st->n == STACK_MAX) {
			diag_error(diag, plan->conf->file, st->line,
				   "more than %u plugins in stack", STACK_MAX);
			return -E2BIG;
		}
		if (add_member(plan, st, t, set, diag))
			ret = -EINVAL;
	}
	if (!ret && st->n == 0) {
		diag_error(diag, plan->conf->file, st->line, "empty stack");
		ret = -EINVAL;
	}
	return ret;
}

/* A stack that is none of ours: one line says so, and its sections are not read. */
static bool
is_foreign(const struct plan *plan, struct stack *st, struct diag *diag)
{
	char why[80];

	if (!packets_in(st->text, why, sizeof(why)))
		return false;
	diag_error(diag, plan->conf->file, st->line,
		   "stack '%s' is left out: %s, and ctflowd logs flows; ulogd2 can go on with "
		   "it beside ctflowd (ctflowd --split)",
		   st->text, why);
	st->foreign = true;
	return true;
}

static void
parse_stack(struct plan *plan, struct stack *st, struct plugin_set *set, struct diag *diag)
{
	char *text = strdup(st->text);

	st->bad = !text || add_members(plan, st, text, set, diag) ||
		  check_order(st, plan->conf->file, diag);
	free(text);
	if (st->bad)
		return;
	for (unsigned i = 0; i < st->n; i++)
		st->bad |= st->member[i]->bad;
	if (st->bad)
		check_reads(st, plan->conf->file, diag);
}

int
plan_make(const struct conf *conf, struct plugin_set *set, struct diag *diag,
	  struct plan *ret_plan)
{
	const struct conf_section *global = conf_find(conf, "global");
	const struct conf_entry *e = NULL;
	struct stack **end = &ret_plan->stacks;

	*ret_plan = (struct plan){ .before = ret_plan->before, .conf = conf };
	while (global && (e = conf_next(global, "stack", e))) {
		struct stack *st = calloc(1, sizeof(*st));

		if (!st) {
			diag_error(diag, conf->file, e->line, "out of memory");
			return -ENOMEM;
		}
		st->text = e->value;
		st->line = e->line;
		*end = st;
		st->bad = is_foreign(ret_plan, st, diag);
		if (!st->bad)
			parse_stack(ret_plan, st, set, diag);
		if (!st->bad && plan_several(ret_plan, st, diag))
			st->bad = true;
		while (*end)
			end = &(*end)->next;
		if (st->bad && !st->foreign)
			diag_error(diag, conf->file, st->line, "stack '%s' is refused",
				   st->text);
	}
	return 0;
}

void
plan_free(struct plan *plan)
{
	struct stack *st;
	struct inst *in;

	while ((st = plan->stacks)) {
		plan->stacks = st->next;
		free(st->own_text);
		free(st);
	}
	while ((in = plan->insts)) {
		plan->insts = in->next;
		inst_free(in);
	}
}

/* The next good instance with that id, from there on; or NULL. */
static struct inst *
same_id(struct inst *in, const char *id)
{
	while (in && (in->bad || strcmp(in->id, id) != 0))
		in = in->next;
	return in;
}

void
plan_print(FILE *f, const struct plan *plan)
{
	for (struct inst *in = plan->insts; in; in = in->next) {
		struct opt_set sets[2 * STACK_MAX];
		unsigned n = 0;

		if (in->of || same_id(plan->insts, in->id) != in)
			continue;
		for (struct inst *x = in; x && n < 2 * STACK_MAX; x = same_id(x->next, in->id))
			n += inst_sets(x, sets + n);
		fprintf(f, "\n[");
		conf_print_word(f, in->id);
		fprintf(f, "]\n");
		opt_print(f, sets, n);
	}
}
