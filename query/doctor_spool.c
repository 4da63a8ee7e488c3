/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_spool.c - spools: room, rights, and what nobody will deliver. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "spool_dir.h"

#define CROWDED 80 /* percent of spool_max */
#define FULL 95

struct amount {
	uint64_t bytes, flows;
	bool any;
};

static bool
amount_in(const char *path, struct amount *ret)
{
	struct amount a = { 0 };
	const struct dirent *e;
	DIR *dir = opendir(path);

	if (!dir)
		return false;
	while ((e = readdir(dir))) {
		struct segment s;
		struct stat st;

		if (!segment_parse_name(e->d_name, &s) ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		a.bytes += (uint64_t)st.st_size;
		a.flows += s.flows;
		a.any = true;
	}
	closedir(dir);
	*ret = a;
	return true;
}

static void
see_room(struct doctor *d, const struct st_member *m, const struct amount *a)
{
	uint64_t max = st_size(m, "spool_max", UINT64_C(1) << 30),
		 percent = a->bytes * 100 / max;
	char size[32];

	if (percent < CROWDED)
		return;
	dr_find(d, percent >= FULL ? DR_ERROR : DR_WARNING, "spool",
		"the spool of %s:%s is %llu %% full: when it is full and the output still "
		"away, the "
		"oldest flows are lost",
		m->id, m->plugin, (unsigned long long)percent);
	snprintf(size, sizeof(size), "%lluM", (unsigned long long)(max / (1 << 20) * 4));
	dr_fix_option(d, m, "spool_max", size);
}

/* ---- folders nobody reads -------------------------------------------------------------- */

/* A sink that is one of several of an output has a number behind its id. */
static bool
has_owner(const struct doctor *d, const char *top, const char *name)
{
	char own[SPOOL_DIR_NAME], id[300];

	for (unsigned i = 0; i < d->conf.n; i++) {
		const struct st_member *m = &d->conf.members[i];

		if (strcmp(st_value(m, "spool_dir", ""), top) != 0)
			continue;
		spool_dir_name(m->id, m->plugin, own);
		if (strcmp(own, name) == 0)
			return true;
		for (unsigned nth = 2; nth < 64; nth++) {
			snprintf(id, sizeof(id), "%.280s.%u", m->id, nth);
			spool_dir_name(id, m->plugin, own);
			if (strcmp(own, name) == 0)
				return true;
		}
	}
	return false;
}

static void
see_leftover(struct doctor *d, const char *top, const char *name)
{
	char path[4400], word[DR_WORD];
	struct amount a;

	snprintf(path, sizeof(path), "%.4000s/%.255s", top, name);
	if (has_owner(d, top, name) || !amount_in(path, &a) || !a.any)
		return;
	dr_find(d, DR_NOTE, "spool",
		"%s holds %llu flows (%llu MiB) of an output that is no longer configured; "
		"with "
		"the folder they are gone",
		path, (unsigned long long)a.flows, (unsigned long long)(a.bytes >> 20));
	dr_fix(d, "rm -r %s", dr_word(word, path));
}

static void
see_top(struct doctor *d, const char *top)
{
	DIR *dir = opendir(top);
	const struct dirent *e;

	if (!dir) {
		if (errno == EACCES)
			dr_unread(d, "spool_dir %s: %s", top, strerror(errno));
		return;
	}
	while ((e = readdir(dir)))
		if (e->d_name[0] != '.')
			see_leftover(d, top, e->d_name);
	closedir(dir);
}

/* ---- one output ---------------------------------------------------------------------------- */

static bool
makable(const char *top)
{
	char up[DR_WORD], *slash;
	struct stat st;

	if (stat(top, &st) == 0)
		return true;
	snprintf(up, sizeof(up), "%s", top);
	slash = strrchr(up, '/');
	if (slash)
		*slash = '\0';
	return !slash || stat(*up ? up : "/", &st) == 0;
}

static void
see_output(struct doctor *d, const struct st_member *m, const char *top)
{
	char name[SPOOL_DIR_NAME], path[4400], word[DR_WORD];
	struct amount a;

	if (!makable(top)) {
		dr_find(d, DR_ERROR, "spool",
			"spool_dir %s of %s:%s is not there and cannot be made: it works "
			"without "
			"a spool, or not at all",
			top, m->id, m->plugin);
		dr_fix(d, "mkdir -p %s", dr_word(word, top));
		return;
	}
	if (access(top, F_OK) == 0)
		dr_disk(d, top, m);
	spool_dir_name(m->id, m->plugin, name);
	snprintf(path, sizeof(path), "%.4000s/%s", top, name);
	if (amount_in(path, &a))
		see_room(d, m, &a);
	else if (errno == EACCES)
		dr_unread(d, "spool %s: %s", path, strerror(errno));
}

static bool
said_before(const struct doctor *d, unsigned n, const char *top)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(st_value(&d->conf.members[i], "spool_dir", ""), top) == 0)
			return true;
	return false;
}

void
dr_check_spools(struct doctor *d)
{
	for (unsigned i = 0; i < d->conf.n; i++) {
		const struct st_member *m = &d->conf.members[i];
		const char *top = m->input ? "" : st_value(m, "spool_dir", "");

		if (!*top)
			continue;
		see_output(d, m, top);
		if (!said_before(d, i, top))
			see_top(d, top);
	}
}
