/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders below spool_dir that hold frames of outputs nobody configures now. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "spool_dir.h"

static bool
is_locked(int dir)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = openat(dir, "spool", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	bool locked;

	if (fd < 0)
		return false;
	locked = fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
	close(fd);
	return locked;
}

/* Bytes and flows of its segments; false: it has none, or they are in use. */
static bool
holds_frames(int top, const char *name, uint64_t *ret_bytes, uint64_t *ret_flows)
{
	struct spool_dir d = { .meta = -1 };
	struct segment *list = NULL;
	bool some;

	d.owner.dir = openat(top, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (d.owner.dir < 0)
		return false;
	some = spool_dir_list(&d, NULL, &list) == 0 && list && !is_locked(d.owner.dir);
	for (const struct segment *s = list; s; s = s->next) {
		*ret_bytes += s->bytes;
		*ret_flows += s->flows;
	}
	spool_list_free(list);
	spool_dir_close(&d);
	return some;
}

void
spool_leftovers(const char *top, bool (*mine)(const char *name, void *arg),
		void (*fn)(const char *name, uint64_t bytes, uint64_t flows, void *arg),
		void *arg)
{
	DIR *dir = opendir(top);
	const struct dirent *e;

	while (dir && (e = readdir(dir))) {
		uint64_t bytes = 0, flows = 0;

		if (e->d_name[0] != '.' && !mine(e->d_name, arg) &&
		    holds_frames(dirfd(dir), e->d_name, &bytes, &flows))
			fn(e->d_name, bytes, flows, arg);
	}
	if (dir)
		closedir(dir);
}
