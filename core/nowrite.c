/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nowrite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/landlock.h>) && defined(SYS_landlock_restrict_self)
#include <linux/landlock.h>

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

/* What cannot be opened cannot be written to either. */
static int
allow(int rules, int root, const char *name, uint64_t all)
{
	struct landlock_path_beneath_attr below = {
		.allowed_access = all,
		.parent_fd = openat(root, name, O_PATH | O_CLOEXEC),
	};
	struct stat st;
	int ret = 0;

	if (below.parent_fd < 0)
		return 0;
	if (fstat(below.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		below.allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE;
	if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below, 0))
		ret = -errno;
	close(below.parent_fd);
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
	while (!ret && (e = readdir(root)))
		if (!is_kernels(e->d_name))
			ret = allow(rules, dirfd(root), e->d_name, all);
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
