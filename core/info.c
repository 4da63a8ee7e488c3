/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "field.h"
#include "info.h"
#include "opt.h"
#include "sink.h"

const struct ctf_opt global_opts[] = {
	{ "logfile", CTF_OTEXT, offsetof(struct global_conf, logfile), 0, 0, "", NULL,
	  "syslog, stdout, stderr, or a file; without it syslog" },
	{ "loglevel", CTF_OUINT, offsetof(struct global_conf, loglevel), 0, 8, "5", NULL,
	  "1 debug, 3 info, 5 notice, 6 warning, 7 error, 8 fatal" },
	{ "state_dir", CTF_OTEXT, offsetof(struct global_conf, state_dir), 0, 3000, "", NULL,
	  "folder for what outlives a crash: what was read and not yet delivered; empty: "
	  "$STATE_DIRECTORY, else /var/lib/ctflowd (as built)" },
	{ "stop_timeout", CTF_OMSEC, offsetof(struct global_conf, stop_timeout), 0, 86400000,
	  "30", NULL, "how long the end waits for outputs that make no progress" },
	{ "metrics_file", CTF_OTEXT, offsetof(struct global_conf, metrics_file), 0, 3000, "",
	  NULL,
	  "all numbers in the text format of Prometheus, e.g. a .prom file for "
	  "node_exporter; replaced as a whole, by the user of -u" },
	{ "metrics_daemon", CTF_OTEXT, offsetof(struct global_conf, metrics_daemon), 0, 200, "",
	  NULL, "a label `daemon` of all of them, to tell the daemons of one host apart" },
	{ "metrics_interval", CTF_OMSEC, offsetof(struct global_conf, metrics_interval), 100,
	  86400000, "10", NULL, "how often metrics_file is written" },
	{ 0 },
};

static void
print_ports(FILE *f, const char *title, const struct ctf_port *p)
{
	if (!p || !p->name)
		return;
	fprintf(f, "\n%s\n", title);
	for (; p->name; p++) {
		const struct ctf_field *d = p->def ? p->def : field_find(p->name);

		fprintf(f, "  %-22s %-6s %s%s\n", p->name, d ? field_type_name(d->type) : "",
			d ? d->doc : "", p->flags & CTF_OPTIONAL ? " (optional)" : "");
	}
}

void
info_plugin(FILE *f, const struct ctf_plugin *p)
{
	static const char *const roles[] = {
		[CTF_INPUT] = "input", [CTF_FILTER] = "filter", [CTF_OUTPUT] = "output"
	};

	fprintf(f, "%s (%s): %s\n", p->name, roles[p->role], p->doc);
	if (p->opts && p->opts->name) {
		fprintf(f, "\nOptions:\n");
		opt_describe(f, p->opts);
	}
	if (p->role == CTF_OUTPUT) {
		fprintf(f, "\nOptions of every output:\n");
		opt_describe(f, out_opts);
	}
	print_ports(f, "Fields read:", p->reads);
	if (p->role == CTF_OUTPUT && !p->reads)
		fprintf(f, "\nFields read: chosen when the stack is built\n");
	print_ports(f, "Fields written:", p->writes);
}

void
info_global(FILE *f)
{
	fprintf(f, "global (section): what the daemon itself is told; besides stack= and "
		   "plugin=\n\nOptions:\n");
	opt_describe(f, global_opts);
}

int
info_man(FILE *f, struct plugin_set *set, const char *name)
{
	const struct ctf_plugin *p;

	if (strcmp(name, "global") == 0) {
		opt_man(f, global_opts);
		return 0;
	}
	if (strcmp(name, "output") == 0) {
		opt_man(f, out_opts);
		return 0;
	}
	p = plugin_find(set, name, NULL);
	if (!p)
		return -ENOENT;
	if (p->opts)
		opt_man(f, p->opts);
	return 0;
}

/* ---- -n -v ---- */

static void
print_slots(FILE *f, const struct input *in)
{
	fprintf(f, "#\n# %s:%s: %u slots, %zu bytes a record\n", in->inst->id,
		in->inst->plugin->name, in->nslots,
		sizeof(struct ctf_rec) + in->nslots * sizeof(union ctf_val));
	for (unsigned slot = 0; slot < in->nslots; slot++) {
		const struct ctf_ctx *from = NULL;

		fprintf(f, "#  %3u %-20s for", slot, in->slots[slot]->name);
		for (unsigned i = 0; i < in->nwants; i++)
			if (in->wants[i].slot == slot) {
				from = in->wants[i].writer;
				fprintf(f, " %s", in->wants[i].reader->inst->id);
			}
		fprintf(f, " from %s:%s\n", from ? from->inst->id : "?",
			from ? from->inst->plugin->name : "?");
	}
}

static void
print_stack(FILE *f, const struct stack *st)
{
	fprintf(f, "#\n# stack %s\n", st->text);
	for (unsigned k = 0; k < st->nchain; k++)
		if (!st->needed[k])
			fprintf(f, "#   %s:%s is idle: nobody reads what it writes\n",
				st->chain[k]->inst->id, st->chain[k]->inst->plugin->name);
	fprintf(f, "#   frames of at most %u bytes%s, layout %016llx (%u bytes)\n",
		st->enc->limit, st->enc->sync ? ", sealed after each batch" : "",
		(unsigned long long)st->enc->layout->id, st->enc->layout->len);
}

static void
print_ceilings(FILE *f, const struct graph *g)
{
	uint64_t sum = 0;

	fprintf(f, "#\n# memory ceilings\n");
	for (const struct input *in = g->inputs; in; in = in->next) {
		struct ctf_batch b;

		if (batch_init(&b, in->nslots))
			continue;
		fprintf(f, "#   %s: %zu bytes for a batch\n", in->inst->id, batch_memory(&b));
		sum += batch_memory(&b);
		batch_free(&b);
	}
	for (const struct sink *s = g->sinks; s; s = s->next) {
		uint64_t open = 0, group = 0; /* a group in delivery is never dropped */

		for (const struct encoder *e = s->encoders; e; e = e->next) {
			open += (uint64_t)e->limit *
				(e->ctx.inst->plugin->stream ? STREAM_MAX : 1);
			if (group < (uint64_t)e->limit * GROUP)
				group = (uint64_t)e->limit * GROUP;
		}
		fprintf(f, "#   %s: queue %llu bytes, in delivery %llu, open frames %llu\n",
			s->inst->id, (unsigned long long)s->queue.limit,
			(unsigned long long)group, (unsigned long long)open);
		sum += s->queue.limit + group + open;
	}
	fprintf(f, "#   together %llu bytes\n", (unsigned long long)sum);
}

static void
print_wiring(FILE *f, const struct graph *g)
{
	fprintf(f, "\n# wiring\n");
	for (const struct stack *st = g->stacks; st; st = st->next)
		if (!st->bad)
			print_stack(f, st);
	for (const struct input *in = g->inputs; in; in = in->next)
		print_slots(f, in);
	print_ceilings(f, g);
}

void
info_config(FILE *f, const struct conf *conf, struct global_conf *global,
	    const struct plan *plan, const struct graph *g)
{
	const struct conf_section *sec = conf_find(conf, "global");
	const struct conf_entry *e = NULL;
	struct opt_set set = { global_opts, global, NULL, NULL };

	fprintf(f, "[global]\n");
	opt_print(f, &set, 1);
	while (sec && (e = conf_next(sec, "plugin", e))) {
		fprintf(f, "plugin=");
		conf_print_word(f, e->value);
		fprintf(f, "\n");
	}
	for (const struct stack *st = plan->stacks; st; st = st->next) {
		if (st->of)
			continue;
		fprintf(f, "%sstack=", st->bad ? "# refused: " : "");
		conf_print_word(f, st->text);
		fprintf(f, "\n");
	}
	plan_print(f, plan);
	print_wiring(f, g);
}
