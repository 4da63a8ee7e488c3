/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -i, --man and -n -v print. */
#ifndef CTF_INFO_H
#define CTF_INFO_H

#include <stdio.h>

#include "graph.h"

struct global_conf {
	const char *logfile, *state_dir, *metrics_file, *metrics_daemon;
	uint64_t loglevel, stop_timeout, metrics_interval;
};
extern const struct ctf_opt global_opts[];

void info_plugin(FILE *, const struct ctf_plugin *);
/* -i global: its options. */
void info_global(FILE *);
/* mdoc(7): the options of a plugin, of every output ("output") or "global". */
int info_man(FILE *, struct plugin_set *, const char *name);
/* The configuration in force, which parses again, and the wiring as comments. */
void info_config(FILE *, const struct conf *, struct global_conf *, const struct plan *,
		 const struct graph *);

#endif
