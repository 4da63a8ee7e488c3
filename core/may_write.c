/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a file can be opened for writing, without opening it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctflow/plugin.h>

/* The folder it would be made in. */
static int
may_make(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int n = slash ? (int)(slash - path) : 1;

	if (n >= PATH_MAX)
		return -ENAMETOOLONG;
	snprintf(dir, sizeof(dir), "%.*s", n ? n : 1, slash ? path : ".");
	return faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) ? -errno : 0;
}

int
ctf_may_write(const char *path, struct ctf_err *err)
{
	struct stat st;
	int r = 0;

	if (stat(path, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			r = -EISDIR;
		else if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS))
			r = -errno;
	} else {
		r = errno == ENOENT ? may_make(path) : -errno;
	}
	return r ? ctf_fail(err, -r, "cannot open %s: %s", path, strerror(-r)) : 0;
}
