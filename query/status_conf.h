/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_conf.h - what the daemon's configuration says, for `status` and `doctor`. */
#ifndef CTF_QUERY_STATUS_CONF_H
#define CTF_QUERY_STATUS_CONF_H

#include "conf.h"
#include "query.h"

struct st_member { /* the first or the last of a stack, once */
	char *id, *plugin;
	const struct conf_section *sec; /* or NULL */
	bool input;
};

struct st_conf {
	char *path; /* absolute, as the daemon has it */
	struct conf *conf;
	const char *state_dir, *metrics_file; /* metrics_file may be "" */
	struct st_member *members;
	unsigned n;
};

/* Of -c, or where the daemon would look; sets q->conf.  Mistakes in it do not matter here. */
int st_conf_load(struct q *, struct st_conf *ret_conf, struct ctf_err *err);
void st_conf_free(struct st_conf *);
/* What the section says, or `otherwise`. */
const char *st_value(const struct st_member *, const char *key, const char *otherwise);
/* Bytes. */
uint64_t st_size(const struct st_member *, const char *key, uint64_t otherwise);
bool st_is(const struct st_member *, const char *plugin);

/* The end of "id:PLUGIN": its sink of several has id "id.2" or so, the member has "id". */
const struct st_member *st_member_of(const struct st_conf *, const char *name);

#endif
