/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <ctflow/plugin.h>

#include "state_file.h"
#include "state_page.h"

#define TRIES 8

const char *
state_look_dir(const char *state_dir)
{
	if (!state_dir || !*state_dir)
		state_dir = getenv("STATE_DIRECTORY");
	return state_dir && *state_dir ? state_dir : STATEDIR;
}

static void
see_lock(struct state_look *l, int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	l->held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	l->pid = l->held && lock.l_pid > 0 ? lock.l_pid : 0;
}

static const char *
fault_of(struct state_look *l)
{
	const struct state_head *h = (const struct state_head *)l->p;
	const char *fault = l->p ? state_head_fault(h, l->len) : "not a state page";
	char boot[sizeof(h->boot_id)] = "";

	if (fault)
		return fault;
	ctf_boot_id(boot);
	l->same_boot = strncmp(h->boot_id, boot, sizeof(boot)) == 0;
	return NULL;
}

/* A daemon that starts puts a new file in its place, and lets it grow. */
static bool
is_whole(const char *path, int fd, size_t len)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino && (size_t)b.st_size == len;
}

static int
look(struct state_look *l)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open(l->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		bool whole;

		if (fd < 0)
			return -errno;
		free(l->p);
		l->len = 0;
		l->p = state_file_read(fd, &l->len);
		see_lock(l, fd);
		whole = is_whole(l->path, fd, l->len);
		close(fd);
		if (whole)
			break;
	}
	l->fault = fault_of(l);
	return l->fault ? -EBADMSG : 0;
}

int
state_look_open(struct state_look *ret, const char *dir, const char *conf)
{
	int r;

	*ret = (struct state_look){ 0 };
	r = state_page_path(ret->path, sizeof(ret->path), dir, conf);
	return r ? r : look(ret);
}

void
state_look_close(struct state_look *l)
{
	free(l->p);
	l->p = NULL;
	l->len = 0;
}

const void *
state_look_block(const struct state_look *l, const char *name, size_t size)
{
	struct state_block *b =
		l->p && !l->fault ? state_block_find(l->p, l->len, name, size) : NULL;

	return b ? state_block_data(b) : NULL;
}

const void *
state_look_next(const struct state_look *l, size_t *at, const char *ending, size_t size,
		char *ret_name, size_t room)
{
	size_t end = strlen(ending);
	struct state_block *b;

	if (!l->p || l->fault)
		return NULL;
	if (!*at)
		*at = state_aligned(sizeof(struct state_head));
	while ((b = state_block_at(l->p, l->len, *at))) {
		const char *name = state_block_name(b);
		size_t n = b->name_len;

		*at += state_block_len(b);
		if (b->size != size || n < end || memcmp(name + n - end, ending, end) != 0)
			continue;
		n = n - end < room ? n - end : room - 1;
		memcpy(ret_name, name, n);
		ret_name[n] = '\0';
		return state_block_data(b);
	}
	return NULL;
}
