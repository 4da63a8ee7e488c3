/* SPDX-License-Identifier: GPL-2.0-or-later */
/* q_conf.h - which configuration is meant, and the members of its stacks. */
#ifndef CTF_QUERY_CONF_H
#define CTF_QUERY_CONF_H

#include "conf.h"
#include "query.h"

/* That of -c, or the one the daemon would take. */
const char *q_conf_path(const struct q *);
/* Cuts "id:PLUGIN" apart, in place; false: it is something else. */
bool q_conf_member(char *word, const char **ret_id, const char **ret_plugin);
/* The first of the key's values; `otherwise` also without a section. */
const char *q_conf_value(const struct conf_section *, const char *key, const char *otherwise);

#endif
