/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "field.h"
#include "plugin.h"

#define X(n) extern const struct ctf_plugin ctf_plugin_##n;
#include "builtin_table.h"
#undef X

#define X(n) &ctf_plugin_##n,
static const struct ctf_plugin *const builtin[] = {
#include "builtin_table.h"
	NULL
};
#undef X

/* Every plugin of this source tree, linked in or not. */
#define KNOWN(n) #n,
static const char *const known[] = {
#include "known_table.h"
	NULL
};
#undef KNOWN

struct loaded {
	struct loaded *next;
	const struct ctf_plugin *plugin;
	void *handle;
};

struct plugin_set {
	struct loaded *first;
};

struct plugin_set *
plugin_set_new(void)
{
	return calloc(1, sizeof(struct plugin_set));
}

void
plugin_set_free(struct plugin_set *set)
{
	struct loaded *l;

	while (set && (l = set->first)) {
		set->first = l->next;
		if (l->handle)
			dlclose(l->handle);
		free(l);
	}
	free(set);
}

const struct ctf_plugin *
plugin_nth(const struct plugin_set *set, unsigned i)
{
	unsigned n = sizeof(builtin) / sizeof(*builtin) - 1;

	if (i < n)
		return builtin[i];
	for (const struct loaded *l = set->first; l; l = l->next)
		if (i-- == n)
			return l->plugin;
	return NULL;
}

static const struct ctf_plugin *
find_present(const struct plugin_set *set, const char *name)
{
	const struct ctf_plugin *p;

	for (unsigned i = 0; (p = plugin_nth(set, i)); i++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

/* The file's word if its name ends in one of our plugins', case ignored. */
static const char *
own_word(const char *path)
{
	const char *base = strrchr(path, '/'), *tail;
	size_t len;

	base = base ? base + 1 : path;
	tail = strrchr(base, '_');
	tail = tail ? tail + 1 : base;
	len = strcspn(tail, ".");
	for (unsigned i = 0; known[i]; i++)
		if (strlen(known[i]) == len && strncasecmp(known[i], tail, len) == 0)
			return known[i];
	return NULL;
}

/* Where our modules are: beside a daemon run from its build tree, or installed. */
static void
module_path(const char *word, char *ret_path, size_t size)
{
	char exe[PATH_MAX], probe[PATH_MAX + 32], *slash;
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (n > 0) {
		exe[n] = '\0';
		slash = strrchr(exe, '/');
		*slash = '\0';
		snprintf(probe, sizeof(probe), "%s/config.status", exe);
		if (access(probe, F_OK) == 0) {
			snprintf(ret_path, size, "%s/.libs/%s.so", exe, word);
			return;
		}
	}
	snprintf(ret_path, size, "%s/%s.so", PKGLIBDIR, word);
}

static int
add(struct plugin_set *set, const struct ctf_plugin *p, void *handle)
{
	struct loaded *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	*l = (struct loaded){ set->first, p, handle };
	set->first = l;
	return 0;
}

int
plugin_add(struct plugin_set *set, const struct ctf_plugin *p)
{
	return find_present(set, p->name) == p ? 0 : add(set, p, NULL);
}

static bool
has_callbacks(const struct ctf_plugin *p)
{
	switch (p->role) {
	case CTF_INPUT:
		return p->start && p->fd && p->read && p->stop;
	case CTF_FILTER:
		return p->apply;
	case CTF_OUTPUT:
		return p->encode && p->deliver;
	}
	return false;
}

int
plugin_check(const struct ctf_plugin *p, struct ctf_err *err)
{
	if (!p->name || !p->doc)
		return ctf_fail(err, EINVAL, "plugin without a name or a description");
	if (!has_callbacks(p))
		return ctf_fail(err, EINVAL, "plugin %s lacks a callback of its role", p->name);
	for (const struct ctf_port *w = p->writes; w && w->name; w++)
		if (!w->def && !field_find(w->name))
			return ctf_fail(err, EINVAL,
					"plugin %s writes %s, which nobody defines", p->name,
					w->name);
	return 0;
}

/* The descriptor of a module whose ABI note was right. */
static int
open_module(struct plugin_set *set, const char *path, struct ctf_err *err)
{
	const struct ctf_plugin *p;

	/* Never unmapped: GLib under libfixbuf does not survive that. */
	void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!handle)
		return ctf_fail(err, EINVAL, "%s", dlerror());
	p = dlsym(handle, "ctf_plugin");
	if (!p || p->abi != CTF_ABI) {
		dlclose(handle);
		return ctf_fail(err, EINVAL, "%s: holds no plugin", path);
	}
	if (plugin_check(p, err)) {
		dlclose(handle);
		return -EINVAL;
	}
	if (find_present(set, p->name)) {
		ctf_fail(err, EEXIST, "%s: there is a plugin %s already", path, p->name);
		dlclose(handle);
		return -EEXIST;
	}
	if (add(set, p, handle)) {
		dlclose(handle);
		return ctf_fail(err, ENOMEM, "out of memory");
	}
	return 0;
}

static int
load_file(struct plugin_set *set, const char *path, struct ctf_err *err)
{
	char file[PATH_MAX + 2];
	uint32_t abi;
	int ret;

	/* Without a slash dlopen() would look elsewhere than the check did. */
	snprintf(file, sizeof(file), "%s%s", strchr(path, '/') ? "" : "./", path);
	ret = elfnote_abi(file, &abi, err);
	if (ret)
		return ret;
	if (abi != CTF_ABI)
		return ctf_fail(err, EINVAL, "%s: made for plugin ABI %u, this is %u", path,
				abi, CTF_ABI);
	return open_module(set, file, err);
}

const struct ctf_plugin *
plugin_find(struct plugin_set *set, const char *name, struct ctf_err *err)
{
	const struct ctf_plugin *p = find_present(set, name);
	const char *word = p ? NULL : own_word(name);
	char path[PATH_MAX + 64];
	struct ctf_err why;

	if (p)
		return p;
	if (!word) {
		ctf_fail(err, ENOENT, "can't find requested plugin %s", name);
		return NULL;
	}
	module_path(word, path, sizeof(path));
	if (load_file(set, path, &why)) {
		ctf_fail(err, ENOENT, "can't load plugin %s: %s", name, why.msg);
		return NULL;
	}
	p = find_present(set, name);
	if (!p)
		ctf_fail(err, ENOENT, "can't find requested plugin %s", name);
	return p;
}

int
plugin_load(struct plugin_set *set, const char *path, struct ctf_err *err)
{
	if (own_word(path))
		return 0; /* found by name, when a stack asks for it */
	return load_file(set, path, err);
}

bool
plugin_is_ours(const char *name)
{
	for (unsigned i = 0; known[i]; i++)
		if (strcasecmp(known[i], name) == 0)
			return true;
	return false;
}

const struct ctf_plugin *
plugin_of_file(struct plugin_set *set, const char *path, struct ctf_err *err)
{
	const char *word = own_word(path);
	char name[64] = "";

	if (word) { /* a plugin is called like its file, but in capitals */
		for (size_t i = 0; word[i] && i + 1 < sizeof(name); i++)
			name[i] = (char)toupper((unsigned char)word[i]);
		return plugin_find(set, name, err);
	}
	return load_file(set, path, err) ? NULL : set->first->plugin;
}
