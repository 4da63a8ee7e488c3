/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_conf.c - which inputs and outputs a configuration has, and their options. */
#include "status_conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "opt.h"
#include "q_conf.h"
#include "state_look.h"

const char *
st_value(const struct st_member *m, const char *key, const char *otherwise)
{
	return q_conf_value(m->sec, key, otherwise);
}

uint64_t
st_size(const struct st_member *m, const char *key, uint64_t otherwise)
{
	const char *text = st_value(m, key, NULL);
	uint64_t x;

	return text && opt_number(CTF_OSIZE, text, &x) == 0 ? x : otherwise;
}

bool
st_is(const struct st_member *m, const char *plugin)
{
	return strcmp(m->plugin, plugin) == 0;
}

const struct st_member *
st_member_of(const struct st_conf *c, const char *name)
{
	size_t len = strcspn(name, ":");

	for (unsigned i = 0; i < c->n; i++) {
		size_t n = strlen(c->members[i].id);

		if (strncmp(c->members[i].id, name, n) == 0 && (n == len || name[n] == '.'))
			return &c->members[i];
	}
	return NULL;
}

/* ---- stacks --------------------------------------------------------------------- */

static int
add(struct st_conf *c, const char *id, const char *plugin, bool input)
{
	struct st_member *more;

	for (unsigned i = 0; i < c->n; i++)
		if (strcmp(c->members[i].id, id) == 0)
			return 0;
	more = realloc(c->members, (c->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->members = more;
	more += c->n;
	*more = (struct st_member){ strdup(id), strdup(plugin), conf_find(c->conf, id), input };
	if (!more->id || !more->plugin) {
		free(more->id);
		free(more->plugin);
		return -ENOMEM;
	}
	c->n++;
	return 0;
}

static int
member(struct st_conf *c, char *word, bool input)
{
	const char *id, *plugin;

	return q_conf_member(word, &id, &plugin) ? add(c, id, plugin, input) : 0;
}

static int
stack(struct st_conf *c, const char *text)
{
	char *copy = strdup(text), *last = copy ? strrchr(copy, ',') : NULL;
	int r = copy ? 0 : -ENOMEM;

	if (last) {
		*last = '\0';
		copy[strcspn(copy, ",")] = '\0';
		r = member(c, copy, true);
		if (r == 0)
			r = member(c, last + 1, false);
	}
	free(copy);
	return r;
}

int
st_conf_load(struct q *q, struct st_conf *ret_conf, struct ctf_err *err)
{
	struct st_conf c = { 0 };
	const struct conf_section *global;
	const struct conf_entry *e = NULL;
	int r;

	q->conf = q_conf_path(q);
	c.path = realpath(q->conf, NULL);
	if (!c.path)
		return ctf_fail(err, errno, "%s: %s", q->conf, strerror(errno));
	r = conf_load(c.path, &c.conf, NULL);
	if (r < 0) {
		free(c.path);
		return ctf_fail(err, -r, "%s: %s", q->conf, strerror(-r));
	}
	global = conf_find(c.conf, "global");
	c.state_dir = state_look_dir(q_conf_value(global, "state_dir", NULL));
	c.metrics_file = q_conf_value(global, "metrics_file", "");
	while (r == 0 && global && (e = conf_next(global, "stack", e)))
		r = stack(&c, e->value);
	if (r < 0) {
		st_conf_free(&c);
		return ctf_fail(err, ENOMEM, "out of memory");
	}
	*ret_conf = c;
	return 0;
}

void
st_conf_free(struct st_conf *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		free(c->members[i].id);
		free(c->members[i].plugin);
	}
	free(c->members);
	if (c->conf)
		conf_free(c->conf);
	free(c->path);
	*c = (struct st_conf){ 0 };
}
