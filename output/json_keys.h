/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How JSON spells the keys of a flow: dots, underscores, or objects in objects. */
#ifndef CTF_OUTPUT_JSON_KEYS_H
#define CTF_OUTPUT_JSON_KEYS_H

#include "text.h"

enum json_keys { KEYS_DOTS, KEYS_UNDERSCORES, KEYS_NESTED }; /* as in the option */

struct json_member {
	const char *name;
	ctf_ref ref;
	bool text;
	bool zero;               /* absent is printed as 0 */
	bool action;             /* a packet's raw.label as "allowed" or "blocked" */
	struct text_label label; /* , "name":  but nested "sport":  alone */
	unsigned depth;          /* objects it is in */
};

/* Gives the members labels, and nested those of one object places side by side. */
int json_keys_set(struct json_member *, unsigned n, enum json_keys);
/* Bytes json_keys_open() and, for this member, json_keys_close() may touch. */
size_t json_keys_room(const struct json_member *);
/* Nested: what leads from the value of `last` (NULL: it is the first) to that of m. */
char *json_keys_open(char *p, const struct json_member *last, const struct json_member *m);
char *json_keys_close(char *p, const struct json_member *last);

#endif
