/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin table: what is linked in, and what was loaded. */
#ifndef CTF_PLUGIN_SET_H
#define CTF_PLUGIN_SET_H

#include <ctflow/plugin.h>

struct plugin_set;

/* With what is linked in; NULL: out of memory. */
struct plugin_set *plugin_set_new(void);
void plugin_set_free(struct plugin_set *);

/*
 * The plugin of that name ("LOGEMU"), loading our own module for it if need
 * be; NULL with err filled.
 */
const struct ctf_plugin *plugin_find(struct plugin_set *, const char *name, struct ctf_err *);

/*
 * A plugin= line.  A path that ends in the name of one of our plugins, as
 * ulogd2 spells its files, means ours, whatever its folder.  Anything else is
 * loaded if its ELF note says it was made for this ABI.
 */
int plugin_load(struct plugin_set *, const char *path, struct ctf_err *);

/* A plugin of this source tree, be it linked in, a module, or not built. */
bool plugin_is_ours(const char *name);

/* The plugin a plugin= line with that path means. */
const struct ctf_plugin *plugin_of_file(struct plugin_set *, const char *path,
					struct ctf_err *);

/* One the program brings itself. */
int plugin_add(struct plugin_set *, const struct ctf_plugin *);

/* The i-th plugin linked in or loaded so far, or NULL. */
const struct ctf_plugin *plugin_nth(const struct plugin_set *, unsigned i);

/* Whether a plugin has all that its role needs: 0 or -EINVAL, with the reason. */
int plugin_check(const struct ctf_plugin *, struct ctf_err *);

/* ABI number in the .note.ctflow of an ELF file: elfnote.c. */
int elfnote_abi(const char *path, uint32_t *ret_abi, struct ctf_err *);

#endif
