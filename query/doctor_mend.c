/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_mend.c - parts of commands, and questions that several checks have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "doctor.h"

#define MIB (UINT64_C(1) << 20)

const char *
dr_word(char buf[DR_WORD], const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:=+,@%-";
	size_t n = 0;

	if (*word && !word[strspn(word, plain)]) {
		snprintf(buf, DR_WORD, "%s", word);
		return buf;
	}
	buf[n++] = '\'';
	for (; *word && n + 8 < DR_WORD; word++)
		if (*word == '\'')
			n += (size_t)snprintf(buf + n, DR_WORD - n, "'\\''");
		else
			buf[n++] = *word;
	buf[n++] = '\'';
	buf[n] = '\0';
	return buf;
}

const char *
dr_restart(const struct doctor *d)
{
	return d->systemd && d->running ? " && systemctl restart ctflowd" : "";
}

static const struct conf_entry *
entry(const struct st_member *m, const char *key)
{
	return m->sec ? conf_next(m->sec, key, NULL) : NULL;
}

void
dr_fix_option(struct doctor *d, const struct st_member *m, const char *key, const char *value)
{
	const struct conf_entry *e = entry(m, key);
	char word[DR_WORD];
	const char *file = dr_word(word, d->conf.path);

	if (!value)
		dr_fix(d, "sed -i %ud %s%s", e ? e->line : 0, file, dr_restart(d));
	else if (e)
		dr_fix(d, "sed -i '%uc %s=%s' %s%s", e->line, key, value, file, dr_restart(d));
	else if (m->sec)
		dr_fix(d, "sed -i '%ua %s=%s' %s%s", m->sec->line, key, value, file,
		       dr_restart(d));
	else
		dr_fix(d, "printf '\\n[%s]\\n%s=%s\\n' >> %s%s", m->id, key, value, file,
		       dr_restart(d));
}

/* Beside this program, or where packages put it. */
bool
dr_daemon(char *path, size_t size)
{
	static const char *const places[] = { "ctflowd", "../sbin/ctflowd", "/usr/sbin/ctflowd",
					      "/usr/local/sbin/ctflowd" };
	char self[2048];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *base;

	self[n > 0 ? n : 0] = '\0';
	base = strrchr(self, '/');
	if (base)
		base[1] = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, size, "%s%s", *places[i] == '/' ? "" : self, places[i]);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

char *
dr_start(const struct doctor *d)
{
	char path[2200], word[DR_WORD], conf[DR_WORD];
	char *text = NULL;
	int n;

	if (d->systemd)
		n = asprintf(&text, "systemctl start ctflowd");
	else
		n = asprintf(&text, "%s -d -c %s",
			     dr_daemon(path, sizeof(path)) ? dr_word(word, path) : "ctflowd",
			     dr_word(conf, d->conf.path));
	return n < 0 ? NULL : text;
}

/* ---- rights ------------------------------------------------------------------------- */

bool
dr_may(const struct doctor *d, const char *path, int mode)
{
	struct stat st;
	struct statvfs fs;
	mode_t bits;

	if (stat(path, &st) < 0)
		return false;
	if (mode & W_OK && statvfs(path, &fs) == 0 && fs.f_flag & ST_RDONLY)
		return false;
	if (d->uid == 0)
		return true;
	bits = st.st_uid == d->uid   ? st.st_mode >> 6
	       : st.st_gid == d->gid ? st.st_mode >> 3
				     : st.st_mode;
	return ((unsigned)mode & (bits & 7)) == (unsigned)mode;
}

/* ---- disks ----------------------------------------------------------------------------- */

static void
mount_point(const char *path, char *to, size_t size)
{
	struct stat st, up;
	char *slash;

	snprintf(to, size, "%s", path);
	if (stat(to, &st) < 0)
		return;
	while ((slash = strrchr(to, '/')) && slash != to) {
		*slash = '\0';
		if (stat(to, &up) < 0 || up.st_dev != st.st_dev) {
			*slash = '/';
			return;
		}
	}
	snprintf(to, size, "/");
}

static void
fix_disk(struct doctor *d, const char *path, const struct st_member *m)
{
	char mnt[DR_WORD], word[DR_WORD], size[32];
	struct stat st;

	if (m && st_is(m, "SQLITE3") && !entry(m, "max_size") && stat(path, &st) == 0) {
		uint64_t mib = (uint64_t)st.st_size / MIB;

		snprintf(size, sizeof(size), "%lluM",
			 (unsigned long long)(mib > 64 ? mib : 64));
		dr_fix_option(d, m, "max_size", size);
		return;
	}
	mount_point(path, mnt, sizeof(mnt));
	dr_fix(d, "du -xh -d 3 %s | sort -h | tail", dr_word(word, mnt));
}

void
dr_disk(struct doctor *d, const char *path, const struct st_member *m)
{
	struct statvfs fs;
	uint64_t left, all;
	char mnt[DR_WORD], word[DR_WORD];

	if (statvfs(path, &fs) < 0)
		return;
	if (fs.f_flag & ST_RDONLY) {
		mount_point(path, mnt, sizeof(mnt));
		dr_find(d, DR_ERROR, "disk", "%s is on a file system that is mounted read-only",
			path);
		dr_fix(d, "mount -o remount,rw %s", dr_word(word, mnt));
		return;
	}
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	all = (uint64_t)fs.f_blocks * fs.f_frsize;
	if (left >= 200 * MIB && (left >= all / 20 || left >= 5120 * MIB))
		return;
	dr_find(d, left < 50 * MIB ? DR_ERROR : DR_WARNING, "disk",
		"%s: %llu MiB of %llu are free there, and a full disk stops the output", path,
		(unsigned long long)(left / MIB), (unsigned long long)(all / MIB));
	fix_disk(d, path, m);
}
