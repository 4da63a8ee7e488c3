/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_listen.c - who else hears conntrack's events, and holds them up. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../input/nfct_diag.h"
#include "doctor.h"

#define MOST 16u

/* Whether that process has the socket. */
static bool
has_socket(pid_t pid, uint32_t inode)
{
	char path[64], name[32], link[64];
	const struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	snprintf(name, sizeof(name), "socket:[%u]", inode);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);

		link[n > 0 ? n : 0] = '\0';
		found = strcmp(link, name) == 0;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The service a process belongs to, by its control group; false: none. */
static bool
service_of(long pid, char *name, size_t size)
{
	char path[64], line[512];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", pid);
	f = fopen(path, "re");
	while (f && !found && fgets(line, sizeof(line), f)) {
		char *base = strrchr(line, '/'),
		     *end = base ? strstr(base, ".service\n") : NULL;

		if (end) {
			end[8] = '\0';
			snprintf(name, size, "%s", base + 1);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found && access("/run/systemd/system", F_OK) == 0;
}

static void
comm(long pid, char *name, int size)
{
	char path[64];
	FILE *f;

	*name = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	f = fopen(path, "re");
	if (f && !fgets(name, size, f))
		*name = '\0';
	if (f)
		fclose(f);
	name[strcspn(name, "\n")] = '\0';
}

static bool
is_ours(const struct doctor *d, long pid)
{
	char name[32];

	if (pid == (long)d->pid)
		return true;
	comm(pid, name, sizeof(name));
	/* when the daemon is not known, one of that name is taken for it */
	return strcmp(name, "ctflow-guard") == 0 || (!d->pid && strcmp(name, "ctflowd") == 0);
}

static void
see(struct doctor *d, const struct nfct_other *o)
{
	char whose[128], name[32], service[128];
	long pid = nfct_owner(o);

	if ((d->pid && has_socket(d->pid, o->inode)) || (pid && is_ours(d, pid)))
		return;
	if (pid) {
		comm(pid, name, sizeof(name));
		snprintf(whose, sizeof(whose), "%s (process %ld)", name, pid);
	} else {
		snprintf(whose, sizeof(whose), "somebody (netlink port %u)", o->portid);
	}
	dr_find(d, DR_WARNING, "listeners",
		"%s also hears the ends of connections with reliable delivery: when it is slow "
		"they "
		"stay in the table, and come here more than once",
		whose);
	if (pid && service_of(pid, service, sizeof(service)))
		dr_fix(d, "systemctl stop %s", service);
	else if (pid)
		dr_fix(d, "kill %ld", pid);
	else
		dr_fix(d, "ss -p -f netlink");
}

void
dr_check_listeners(struct doctor *d)
{
	struct nfct_other others[MOST];
	int fd = nfct_diag_open(), n;

	n = fd < 0 ? fd : nfct_diag_others(fd, fd, others, MOST);
	if (n < 0)
		dr_unread(d, "other listeners: %s", strerror(-n));
	for (int i = 0; i < n && (unsigned)i < MOST; i++)
		see(d, &others[i]);
	if (fd >= 0)
		close(fd);
}
