/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_conf.c - the configuration: what the daemon itself says of it (-n). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"

#define PATIENCE 15000 /* ms, for all it says */
#define SAID 65536u
#define WARNING 6 /* levels, as they stand in its lines: "<6> " */

/* ---- the checker -------------------------------------------------------------------- */

static pid_t
checker(const char *program, const char *conf, int *ret_fd)
{
	int p[2];
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		(void)dup2(null, 0);
		(void)dup2(null, 1);
		(void)dup2(p[1], 2);
		execl(program, program, "-n", "-c", conf, (char *)NULL);
		_exit(127);
	}
	close(p[1]);
	if (pid < 0)
		close(p[0]);
	else
		*ret_fd = p[0];
	return pid;
}

/* Until it closes its end; false: it took too long. */
static bool
listen_to(const struct q *q, int fd, char *said)
{
	int64_t until = (int64_t)ctf_mono_ms() + PATIENCE, left;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while ((left = until - (int64_t)ctf_mono_ms()) > 0 && !q_cancelled(q)) {
		ssize_t r;

		if (poll(&p, 1, left < 200 ? (int)left : 200) == 0)
			continue;
		r = read(fd, said + n, SAID - 1 - n);
		if (r <= 0) {
			said[n] = '\0';
			return true;
		}
		n += (size_t)r;
	}
	said[n] = '\0';
	return false;
}

/* ---- its lines ---------------------------------------------------------------------------- */

/* The line's file is this one: its number, and *at is what is said of it. */
static unsigned
line_number(const struct doctor *d, const char **at)
{
	size_t n = strlen(d->conf.path);
	char *end;
	unsigned long line;

	if (strncmp(*at, d->conf.path, n) != 0 || (*at)[n] != ':')
		return 0;
	line = strtoul(*at + n + 1, &end, 10);
	if (*end != ':' || !line)
		return 0;
	*at = end + 1 + strspn(end + 1, " ");
	return (unsigned)line;
}

/* `... "key" ..., is "other" meant?` */
static bool
meant(const char *text, char *other, size_t size)
{
	const char *p = strstr(text, "is \"");
	size_t n = p ? strcspn(p + 4, "\"") : 0;

	if (!n || n >= size || strncmp(p + 4 + n, "\" meant", 7) != 0)
		return false;
	memcpy(other, p + 4, n);
	other[n] = '\0';
	return strspn(other, "abcdefghijklmnopqrstuvwxyz_0123456789") == n;
}

/* The wrong word is replaced by the one that was meant, else the line is set aside. */
static void
fix_line(struct doctor *d, unsigned line, const char *text)
{
	char word[DR_WORD], other[64];
	const char *file = dr_word(word, d->conf.path);

	if (strncmp(text, "unknown key ", 12) == 0 && meant(text, other, sizeof(other)))
		dr_fix(d, "sed -i '%us/^[^=]*/%s/' %s%s", line, other, file, dr_restart(d));
	else
		dr_fix(d, "sed -i '%us/^/# /' %s%s", line, file, dr_restart(d));
}

/* What is said of a database has been found already, with a better command. */
static bool
is_known(const struct doctor *d, const char *text)
{
	bool found = false;

	for (unsigned i = 0; i < d->n; i++)
		found |= strncmp(d->found[i].check, "database", 8) == 0;
	for (unsigned i = 0; i < d->conf.n && found; i++) {
		const char *path = st_value(&d->conf.members[i], "db", NULL);

		if (path && strstr(text, path))
			return true;
	}
	return false;
}

/* A line of its log: date <level> text. */
static void
see_line(struct doctor *d, char *said, bool *ret_any)
{
	char *level = strstr(said, " <");
	const char *text;
	unsigned line;
	int n;

	if (!level || level[2] < '0' || level[2] > '8' || strncmp(level + 3, "> ", 2) != 0)
		return;
	n = level[2] - '0';
	text = level + 5;
	if (n < WARNING)
		return;
	line = line_number(d, &text);
	/* what follows from what was said goes with it */
	if (*ret_any && (!line || strncmp(text, "stack '", 7) == 0))
		return;
	*ret_any = true;
	if (is_known(d, text))
		return;
	if (line)
		dr_find(d, n == WARNING ? DR_WARNING : DR_ERROR, "configuration", "line %u: %s",
			line, text);
	else
		dr_find(d, n == WARNING ? DR_WARNING : DR_ERROR, "configuration", "%s", text);
	if (line)
		fix_line(d, line, text);
}

static void
see_all(struct doctor *d, char *said)
{
	char *save = NULL;
	bool any = false;

	for (char *line = strtok_r(said, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		see_line(d, line, &any);
}

static void
run_checker(struct doctor *d, const char *program)
{
	char *said = malloc(SAID);
	int fd, status;
	pid_t pid = said ? checker(program, d->conf.path, &fd) : -1;

	if (pid < 0) {
		dr_unread(d, "%s -n: %s", program, strerror(errno));
	} else {
		if (!listen_to(d->q, fd, said)) {
			dr_unread(d, "%s -n does not end", program);
			(void)kill(pid, SIGKILL);
		}
		close(fd);
		(void)waitpid(pid, &status, 0);
		see_all(d, said);
	}
	free(said);
}

bool
dr_load_conf(struct doctor *d)
{
	char word[DR_WORD];
	struct ctf_err err = { 0 };

	if (st_conf_load(d->q, &d->conf, &err) == 0)
		return true;
	dr_find(d, DR_ERROR, "configuration", "%s", err.msg);
	if (access(d->q->conf, F_OK) < 0)
		dr_fix(d,
		       "printf '[global]\\nstack=\"ct1:NFCT,db1:SQLITE3\"\\n\\n[ct1]\\n"
		       "sysctl=set\\n\\n[db1]\\ndb=\"" STATEDIR
		       "/flows.db\"\\ntable=\"flows\"\\n' > %s",
		       dr_word(word, d->q->conf));
	return false;
}

void
dr_check_conf(struct doctor *d)
{
	char program[2200];

	if (!d->conf.path)
		return;
	if (dr_daemon(program, sizeof(program)))
		run_checker(d, program);
	else
		dr_unread(d, "%s: no ctflowd is here to check it with", d->conf.path);
}
