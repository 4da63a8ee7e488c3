/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "opt.h"
#include "packets.h"
#include "setup.h"

static const char *const defaults[] = { SYSCONFDIR "/ctflowd.conf", "/etc/ctflowd.conf",
					"/etc/ulogd.conf" };

static const char *
given_or_default(const char *given)
{
	for (size_t i = 0; !given && i < sizeof(defaults) / sizeof(*defaults); i++)
		if (access(defaults[i], F_OK) == 0)
			given = defaults[i];
	return given;
}

char *
setup_conf_name(const char *given)
{
	char *dir, *name = NULL;

	given = given_or_default(given);
	if (!given || *given == '/')
		return given ? strdup(given) : NULL;
	dir = getcwd(NULL, 0);
	if (dir && asprintf(&name, "%s/%s", dir, given) < 0)
		name = NULL;
	free(dir);
	return name;
}

char *
setup_conf_path(const char *given)
{
	char *path;

	given = given_or_default(given);
	if (given) {
		path = realpath(given, NULL);
		if (!path)
			log_fatal("%s", given);
		return path;
	}
	log_fatalx("no configuration: neither %s nor %s exists, and no -c was given",
		   defaults[0], defaults[2]);
	return NULL;
}

/*
 * A plugin= line that fails is never fatal: a stack that needs it says so.  The
 * modules of ulogd2 that are not for flows are nobody's loss.
 */
static void
load_plugins(struct setup *s, const struct conf_section *global, struct diag *diag)
{
	const struct conf_entry *e = NULL;

	while ((e = conf_next(global, "plugin", e))) {
		struct ctf_err err = { 0 };

		if (!packets_file(e->value) && plugin_load(s->plugins, e->value, &err))
			diag_warn(diag, s->conf->file, e->line, "plugin: %s", err.msg);
	}
}

static int
parse_global(struct setup *s, const struct conf_section *global, struct diag *diag)
{
	static const char *const also[] = { "plugin", "stack", NULL };
	struct opt_set set = { global_opts, &s->global, also, NULL };
	int ret = opt_parse(&set, 1, global, "global", s->conf->file, diag);
	s->global_parsed = ret == 0;
	return ret;
}

static int
open_log(const struct setup *s)
{
	const char *dest = *s->global.logfile ? s->global.logfile : NULL;
	int ret = log_open(dest);

	if (ret) {
		errno = -ret;
		log_fatal("cannot open logfile %s", dest);
		return 2;
	}
	return 0;
}

struct log_as {
	int level;
	bool open;
};

/* Problems of the file are collected and said together, whatever comes first. */
static int
load(struct setup *s, const char *path, const struct log_as *log, struct diag *diag)
{
	const struct conf_section *global;
	int code;

	s->plugins = plugin_set_new();
	if (!s->plugins)
		return 1;
	if (conf_load(path, &s->conf, diag))
		return 1;
	global = conf_find(s->conf, "global");
	if (!global) {
		diag_error(diag, s->conf->file, 0, "section \"global\" not found");
		return 1;
	}
	code = parse_global(s, global, diag) ? 1 : 0;
	if (!code && log) {
		log_set_level(log->level ? log->level : (int)s->global.loglevel);
		code = log->open ? open_log(s) : 0;
	}
	load_plugins(s, global, diag);
	if (plan_make(s->conf, s->plugins, diag, &s->plan))
		return 1;
	if (!s->plan.stacks)
		diag_error(diag, s->conf->file, global->line, "no stack= line");
	s->no_stack = graph_build(&s->plan, diag, &s->graph) != 0;
	return code;
}

int
setup_load(struct setup *s, const char *path, int loglevel, bool with_log)
{
	const struct log_as log = { loglevel, with_log };
	struct diag diag = { 0 };
	int code = load(s, path, &log, &diag);

	diag_log(&diag);
	diag_free(&diag);
	return code;
}

int
setup_again(struct setup *s, const char *path, struct diag *diag)
{
	return load(s, path, NULL, diag);
}

bool
setup_refused(const struct setup *s)
{
	for (const struct stack *st = s->plan.stacks; st; st = st->next)
		if (st->bad)
			return true;
	return false;
}

void
setup_free(struct setup *s)
{
	struct opt_set set = { global_opts, &s->global, NULL, NULL };

	graph_free(&s->graph);
	plan_free(&s->plan);
	if (s->global_parsed)
		opt_free(&set, 1);
	if (s->conf)
		conf_free(s->conf);
	plugin_set_free(s->plugins);
	*s = (struct setup){ 0 };
}

const struct ctf_plugin *
setup_plugin(struct plugin_set *set, const char *name, struct ctf_err *err)
{
	return strchr(name, '/') ? plugin_of_file(set, name, err) : plugin_find(set, name, err);
}
