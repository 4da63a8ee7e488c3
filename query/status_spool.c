/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_spool.c - the folders of spools, read without their locks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool_dir.h"
#include "status.h"

static void
sum(int dir, const char *name, struct st_object *o)
{
	struct segment s;
	struct stat st;

	if (!segment_parse_name(name, &s) || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return;
	o->spool_bytes += st.st_size;
	o->spool_flows += (int64_t)s.flows;
}

static void
read_folder(struct st_look *l, const char *path, struct st_object *o)
{
	DIR *d = opendir(path);
	const struct dirent *e;

	if (!d) {
		if (errno != ENOENT)
			st_unread(l, "spool %s: %s", path, strerror(errno));
		return;
	}
	o->spool_bytes = o->spool_flows = 0;
	while ((e = readdir(d)))
		sum(dirfd(d), e->d_name, o);
	closedir(d);
}

/* False: there is no such folder. */
static bool
read_one(struct st_look *l, const struct st_member *m, const char *id)
{
	const char *top = st_value(m, "spool_dir", "");
	char name[SPOOL_DIR_NAME], path[4400], object[600];
	struct st_object *o;

	spool_dir_name(id, m->plugin, name);
	snprintf(path, sizeof(path), "%.4095s/%s", top, name);
	if (access(path, F_OK) < 0) {
		if (errno != ENOENT)
			st_unread(l, "spool %s: %s", path, strerror(errno));
		return false;
	}
	snprintf(object, sizeof(object), "%.290s:%.290s", id, m->plugin);
	o = st_add(l, object, false);
	if (!o)
		return false;
	o->spool_max = (int64_t)st_size(m, "spool_max", UINT64_C(1) << 30);
	read_folder(l, path, o);
	return true;
}

/* Of an output that is several sinks each has a folder. */
void
st_read_spools(struct st_look *l)
{
	for (unsigned i = 0; i < l->conf.n; i++) {
		const struct st_member *m = &l->conf.members[i];
		char id[300];

		if (m->input || !*st_value(m, "spool_dir", "") || !read_one(l, m, m->id))
			continue;
		for (unsigned nth = 2;; nth++) {
			snprintf(id, sizeof(id), "%.280s.%u", m->id, nth);
			if (!read_one(l, m, id))
				break;
		}
	}
}
