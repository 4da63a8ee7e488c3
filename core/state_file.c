/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state page: its file - found, locked, read, replaced, mapped. */
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define STEP 65536u /* the file grows by that */
#define TRIES 8

/* POSIX, not flock(2): a forked process must not hold it after our death. */
static int
lock_file(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLK, &l) ? -errno : 0;
}

static void
say_locked(const char *path, int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
		log_errorx("state page %s: process %ld has it; another daemon runs with this "
			   "configuration, so losses of this one are not kept over a crash",
			   path, (long)l.l_pid);
	else
		log_errorx("state page %s: another process has it; losses are not kept over "
			   "a crash",
			   path);
}

static bool
same_file(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* Others may replace the file while we open it. */
int
state_file_old(const char *path, int *ret_fd)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), ret;

		if (fd < 0)
			return -errno;
		ret = lock_file(fd);
		if (ret == -EAGAIN || ret == -EACCES) {
			say_locked(path, fd);
			ret = -EBUSY;
		}
		if (!ret && same_file(fd, path)) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
		if (ret)
			return ret;
	}
	return -EBUSY;
}

uint8_t *
state_file_read(int fd, size_t *ret_len)
{
	struct stat st;
	uint8_t *p = NULL;
	ssize_t n = 0;
	size_t len = 0;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > STATE_MAX)
		return NULL;
	p = calloc(1, (size_t)st.st_size + 1);
	while (p && len < (size_t)st.st_size &&
	       (n = pread(fd, p + len, (size_t)st.st_size - len, (off_t)len)) > 0)
		len += (size_t)n;
	*ret_len = len;
	return p;
}

uint8_t *
state_file_map(int fd, size_t len)
{
	void *map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return map == MAP_FAILED ? NULL : map;
}

int
state_file_grow(struct state_file *s, size_t need)
{
	size_t room = (need + STEP - 1) / STEP * STEP;
	int ret;

	if (need <= s->room)
		return 0;
	if (need > STATE_MAX)
		return -ENOSPC;
	ret = posix_fallocate(s->fd, 0, (off_t)room);
	if (ret)
		return -ret;
	s->room = room;
	return 0;
}

int
state_file_new(struct state_file *s, const char *path, const struct priv *priv, size_t need)
{
	void *map;
	int ret;

	unlink(path);
	s->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (s->fd < 0)
		return -errno;
	ret = lock_file(s->fd);
	if (!ret)
		ret = state_file_grow(s, need);
	if (!ret && priv && priv->known && geteuid() == 0 &&
	    fchown(s->fd, priv->uid, priv->gid))
		ret = -errno;
	if (ret)
		return ret;
	map = mmap(NULL, STATE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	s->map = map;
	return 0;
}

/* Where there is no old one whose lock keeps others away, they may be first. */
int
state_file_name(const char *path, const char *as, bool replaces)
{
	if (!replaces && link(path, as) == 0) {
		unlink(path);
		return 0;
	}
	if (!replaces && errno == EEXIST)
		return -EEXIST;
	return rename(path, as) ? -errno : 0;
}

void
state_file_close(struct state_file *s)
{
	if (s->map)
		munmap(s->map, STATE_MAX);
	if (s->fd >= 0)
		close(s->fd);
	s->map = NULL;
	s->fd = -1;
	s->room = 0;
}
