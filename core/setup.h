/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a configuration file to a graph, everything said on the way. */
#ifndef CTF_SETUP_H
#define CTF_SETUP_H

#include "graph.h"
#include "info.h"

struct setup {
	struct conf *conf;
	struct global_conf global;
	bool global_parsed;
	struct plugin_set *plugins;
	struct plan plan;
	struct graph graph;
	bool no_stack; /* none could be built */
};

/* The file as an absolute path, to be freed; NULL when there is none (said). */
char *setup_conf_path(const char *given);
/* The same, not resolved: a link may be another one when it is read again. */
char *setup_conf_name(const char *given);
/*
 * Reads, parses, probes and wires.  loglevel overrides the file's if not 0.
 * With open_log the log goes where [global] says, before anything else is
 * said.  Returns the exit code so far: 0, 1, or 2 when the log cannot be
 * opened.
 */
int setup_load(struct setup *, const char *path, int loglevel, bool open_log);
/* The same without a word: what is wrong is left in diag, and the log stays as it is. */
int setup_again(struct setup *, const char *path, struct diag *);
/* Some stack of the file does not work. */
bool setup_refused(const struct setup *);
void setup_free(struct setup *);
/* A plugin by name or by the path of its file, as -i takes it. */
const struct ctf_plugin *setup_plugin(struct plugin_set *, const char *name, struct ctf_err *);

#endif
