/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_whose.c - which process a netlink socket belongs to. */
#include "nfct_diag.h"
#include <ctflow/plugin.h>

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE 30  /* ms; events wait in the receive buffer meanwhile */
#define LEISURE 3000 /* when none do */

/* Whether a process has that file open ("socket:[123]"). */
static bool
has_open(int proc, const char *pid, const char *file)
{
	char path[32], link[64];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "%.10s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!found && (e = readdir(d))) {
		ssize_t n = readlinkat(fd, e->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = strcmp(link, file) == 0;
	}
	closedir(d);
	return found;
}

/* 0: not found in time, or not ours to see. */
static long
search(DIR *all, const char *file, unsigned ms)
{
	uint64_t until = ctf_mono_ms() + ms;
	struct dirent *e;

	while ((e = readdir(all)) && ctf_mono_ms() < until)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    has_open(dirfd(all), e->d_name, file))
			return strtol(e->d_name, NULL, 10);
	return 0;
}

static void
read_name(int proc, long pid, char *name, size_t size)
{
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%ld/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, size - 1);
	if (fd >= 0)
		close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

/* The first socket of a process has the process id as its port; look there first. */
static long
owner_in(DIR *all, const struct nfct_other *o, unsigned ms)
{
	char file[32], pid[16];

	snprintf(file, sizeof(file), "socket:[%u]", o->inode);
	snprintf(pid, sizeof(pid), "%u", o->portid);
	return has_open(dirfd(all), pid, file) ? (long)o->portid : search(all, file, ms);
}

long
nfct_owner(const struct nfct_other *o)
{
	DIR *all = opendir("/proc");
	long pid = all ? owner_in(all, o, LEISURE) : 0;

	if (all)
		closedir(all);
	return pid;
}

void
nfct_whose(const struct nfct_other *o, char *text, size_t size)
{
	DIR *all = opendir("/proc");
	long pid = all ? owner_in(all, o, PATIENCE) : 0;
	char name[32] = "";

	if (all)
		read_name(dirfd(all), pid ? pid : (long)o->portid, name, sizeof(name));
	if (pid == (long)getpid())
		snprintf(text, size, "another input of this %s", name[0] ? name : "process");
	else if (pid)
		snprintf(text, size, "%s (process %ld)", name[0] ? name : "somebody", pid);
	else if (name[0])
		snprintf(text, size, "%s (process %u, going by its netlink port)", name,
			 o->portid);
	else
		snprintf(text, size, "somebody (netlink port %u)", o->portid);
	if (all)
		closedir(all);
}
