/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nowrite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_restrict_self)
#include <linux/landlock.h>

#include "log.h"

static bool
is_kernels(const char *name)
{
	return !strcmp(name, "proc") || !strcmp(name, "sys") || !strcmp(name, ".") ||
	       !strcmp(name, "..");
}

/* Moving files between folders is refused unless it is allowed, if that can be said. */
static uint64_t
rights(void)
{
	uint64_t all = LANDLOCK_ACCESS_FS_WRITE_FILE;

#ifdef LANDLOCK_ACCESS_FS_REFER
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2)
		all |= LANDLOCK_ACCESS_FS_REFER;
#endif
	return all;
}

static int
add(int rules, int fd, uint64_t rights)
{
	struct landlock_path_beneath_attr below = { .allowed_access = rights, .parent_fd = fd };

	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0)
		       ? -errno
		       : 0;
}

/*
 * Nothing is asked of the file system, which may be one that hangs: what is no
 * folder is found out by the refusal of rights only folders have.  Where a link
 * leads to has a rule already, or must have none.
 */
static int
allow(int rules, int root, const char *name, uint64_t all)
{
	int ret, fd = openat(root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	ret = add(rules, fd, all);
	if (ret == -EINVAL)
		ret = add(rules, fd, LANDLOCK_ACCESS_FS_WRITE_FILE);
	close(fd);
	return ret;
}

static int
allow_all_else(int rules, uint64_t all)
{
	const struct dirent *e;
	DIR *root = opendir("/");
	int ret = 0;

	if (!root)
		return -errno;
	while (!ret && (e = readdir(root))) {
		if (!is_kernels(e->d_name))
			ret = allow(rules, dirfd(root), e->d_name, all);
		if (ret)
			log_warnx("/%s: writing there cannot be allowed: %s", e->d_name,
				  strerror(-ret));
	}
	closedir(root);
	return ret;
}

int
nowrite_lock(void)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = rights() };
	int ret, rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	if (rules < 0)
		return -errno;
	ret = allow_all_else(rules, attr.handled_access_fs);
	if (!ret && syscall(SYS_landlock_restrict_self, rules, 0))
		ret = -errno;
	close(rules);
	return ret;
}

#else

int
nowrite_lock(void)
{
	return -ENOSYS;
}

#endif
