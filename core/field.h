/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CTF_FIELD_H
#define CTF_FIELD_H

#include <ctflow/plugin.h>

/* The dictionary entry of that name, or NULL. */
const struct ctf_field *field_find(const char *name);
/* The i-th entry, or NULL after the last. */
const struct ctf_field *field_nth(unsigned i);
const char *field_type_name(enum ctf_type);

#endif
