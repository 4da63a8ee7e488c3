/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "log.h"
#include "pidfile.h"

/* ulogd2 locks with fcntl(), whose locks a child does not inherit. */
static int
lock(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) ? -errno : 0;
}

static long
read_pid(int fd)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

int
pidfile_open(const char *path, int *ret_fd)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644), ret;
	long pid;

	if (fd < 0) {
		ret = -errno;
		log_fatal("pidfile %s", path);
		return ret;
	}
	pid = read_pid(fd);
	ret = lock(fd);
	if (ret) {
		log_fatalx("pidfile %s: another ctflowd already running with pid %ld", path,
			   pid);
		close(fd);
		return -EEXIST;
	}
	if (pid && pid != getpid())
		log_notice("pidfile %s: replacing the one of pid %ld, which is gone", path,
			   pid);
	*ret_fd = fd;
	return 0;
}

int
pidfile_write(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return errno ? -errno : -EIO;
	return 0;
}

void
pidfile_remove(const char *path, int fd)
{
	if (fd < 0)
		return;
	if (unlink(path) && errno != ENOENT)
		log_info("pidfile %s is left: %s", path, strerror(errno));
	close(fd);
}
