/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NAMES: the files that a configured path stands for. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "names.h"

/* One that is not there is no part, one that cannot be looked at is. */
static bool
add(struct names_parts *p, const char *path, const char *behind)
{
	struct names_part *part = &p->at[p->n];

	p->more |= p->n == NAMES_PARTS;
	if (p->more || asprintf(&part->path, "%s%s", path, behind) < 0)
		return false;
	part->err = stat(part->path, &part->st) == 0 ? 0 : errno;
	if (part->err == ENOENT || part->err == ENOTDIR) {
		free(part->path);
		return false;
	}
	p->n++;
	return true;
}

/*
 * While Kea cleans up, .1 is its journal up to now and .2 the result of the
 * time before; .completed replaces both.
 */
static void
find_kea(struct names_parts *p, const char *path)
{
	if (!add(p, path, ".completed")) {
		add(p, path, ".2");
		add(p, path, ".1");
	}
	add(p, path, "");
}

bool
names_may_be_folder(enum names_kind kind)
{
	return kind == NAMES_FILE || kind == NAMES_HOSTS || kind == NAMES_ODHCPD;
}

/* Not what editors and those who write to the side leave there. */
static int
is_meant(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && d->d_name[0] != '#' && d->d_name[n - 1] != '~';
}

static void
find_folder(struct names_parts *p, const char *path)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, is_meant, alphasort);

	if (n < 0) {
		add(p, path, ""); /* reading it will say why */
		return;
	}
	for (int i = 0; i < n; i++) {
		char name[sizeof(list[i]->d_name) + 1];

		snprintf(name, sizeof(name), "/%s", list[i]->d_name);
		if (add(p, path, name) && S_ISDIR(p->at[p->n - 1].st.st_mode))
			free(p->at[--p->n].path);
		free(list[i]);
	}
	free(list);
}

void
names_parts_find(struct names_parts *p, enum names_kind kind, const char *path)
{
	struct stat st;

	p->n = 0;
	p->more = false;
	if (kind == NAMES_KEA)
		find_kea(p, path);
	else if (names_may_be_folder(kind) && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		find_folder(p, path);
	else
		add(p, path, "");
}

void
names_parts_free(struct names_parts *p)
{
	while (p->n)
		free(p->at[--p->n].path);
}
