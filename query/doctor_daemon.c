/* SPDX-License-Identifier: GPL-2.0-or-later */
/* doctor_daemon.c - the daemon: whether it runs, as whom, and its state page. */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

#define SILENT_NS INT64_C(10000000000)

/* ---- as whom --------------------------------------------------------------------------- */

static void
take_user(struct doctor *d, uid_t uid, gid_t gid)
{
	const struct passwd *pw = getpwuid(uid);

	d->uid = uid;
	d->gid = gid;
	snprintf(d->user, sizeof(d->user), "%s", pw ? pw->pw_name : "");
	if (!pw)
		snprintf(d->user, sizeof(d->user), "%u", (unsigned)uid);
}

static void
find_user(struct doctor *d)
{
	const char *name = q_opt(d->q, "user");
	const struct passwd *pw = name ? getpwnam(name) : NULL;
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%ld", (long)d->pid);
	if (name && !pw)
		dr_unread(d, "--user %s: there is no such user", name);
	if (pw)
		take_user(d, pw->pw_uid, pw->pw_gid);
	else if (d->pid && stat(path, &st) == 0)
		take_user(d, st.st_uid, st.st_gid);
	else if (lstat(d->page.path, &st) == 0 && S_ISREG(st.st_mode))
		take_user(d, st.st_uid, st.st_gid);
	else
		take_user(d, 0, 0);
}

static bool
has_unit(void)
{
	static const char *const places[] = { "/etc/systemd/system/ctflowd.service",
					      "/lib/systemd/system/ctflowd.service",
					      "/usr/lib/systemd/system/ctflowd.service",
					      "/usr/local/lib/systemd/system/ctflowd.service" };

	if (access("/run/systemd/system", F_OK) < 0)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (access(places[i], F_OK) == 0)
			return true;
	return false;
}

/* A live input, without which there is no page. */
static bool
is_live(const struct st_conf *c)
{
	for (unsigned i = 0; i < c->n; i++)
		if (st_is(&c->members[i], "NFCT"))
			return true;
	return false;
}

/* ---- whether it runs --------------------------------------------------------------------- */

static void
see_silent(struct doctor *d)
{
	int64_t silent = d->pulse ? d->q->now_ns - (int64_t)d->pulse->tick_ns : 0;
	char *start = dr_start(d);

	if (d->pulse && d->pulse->phase == PULSE_RUNNING && silent > SILENT_NS) {
		dr_find(d, DR_ERROR, "daemon",
			"ctflowd (process %ld) has given no sign of life for %lld seconds: it "
			"hangs",
			(long)d->pid, (long long)(silent / 1000000000));
		if (d->systemd)
			dr_fix(d, "systemctl restart ctflowd");
		else if (d->pid && start)
			dr_fix(d, "kill -KILL %ld; %s", (long)d->pid, start);
	}
	free(start);
}

void
dr_check_daemon(struct doctor *d)
{
	char *start;

	d->systemd = has_unit();
	if (!d->conf.path || !is_live(&d->conf))
		return;
	d->page_error = state_look_open(&d->page, d->conf.state_dir, d->conf.path);
	d->pulse = state_look_block(&d->page, PULSE_DAEMON, sizeof(*d->pulse));
	d->running = d->page.held;
	d->pid = d->page.pid;
	find_user(d);
	if (d->page_error < 0 && d->page_error != -ENOENT && d->page_error != -EBADMSG) {
		dr_unread(d, "whether ctflowd runs: %s: %s", d->page.path,
			  strerror(-d->page_error));
		return;
	}
	see_silent(d);
	if (d->running)
		return;
	start = dr_start(d);
	dr_find(d, DR_ERROR, "daemon", "ctflowd does not run with %s: nothing is recorded",
		d->conf.path);
	if (start)
		dr_fix(d, "%s", start);
	free(start);
}

/* ---- the folder of the page ----------------------------------------------------------------- */

/* The daemon makes the folder itself, if only that is missing, while it is root. */
void
dr_check_state(struct doctor *d)
{
	const char *dir = d->conf.state_dir;
	char word[DR_WORD], up[DR_WORD], *slash;
	struct stat st;

	if (!d->conf.path || !is_live(&d->conf))
		return;
	if (stat(dir, &st) == 0) {
		if (S_ISDIR(st.st_mode) && dr_may(d, dir, W_OK | X_OK))
			return;
	} else if (errno == ENOENT) {
		snprintf(up, sizeof(up), "%s", dir);
		slash = strrchr(up, '/');
		if (slash)
			*slash = '\0';
		if (!slash || stat(*up ? up : "/", &st) == 0)
			return;
	} else {
		dr_unread(d, "state_dir %s: %s", dir, strerror(errno));
		return;
	}
	dr_find(d, DR_WARNING, "state_dir",
		"state_dir %s cannot be written by user %s: what a crash loses is not known "
		"then",
		dir, d->user);
	if (d->uid == 0)
		dr_fix(d, "mkdir -p %s", dr_word(word, dir));
	else
		dr_fix(d, "install -d -o %s %s", d->user, dr_word(word, dir));
}
