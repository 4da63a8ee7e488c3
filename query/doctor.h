/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * doctor.h - findings: what is wrong, why it matters, and the command that
 * mends it.
 *
 * A check is a function and a line in doctor.c.  It changes nothing; what it
 * may not look at it says with dr_unread().
 */
#ifndef CTF_QUERY_DOCTOR_H
#define CTF_QUERY_DOCTOR_H

#include <sys/types.h>

#include "pulse.h"
#include "state_look.h"
#include "status_conf.h"

enum dr_level {
	DR_HINT,    /* worth knowing; no fault, and not in the exit code */
	DR_NOTE,    /* may be meant so */
	DR_WARNING, /* answers will lack something */
	DR_ERROR,   /* flows are or will be lost, or nothing works */
};

struct dr_finding {
	enum dr_level level;
	const char *check;
	char *what, *fix; /* fix NULL: nothing to run */
};

struct doctor {
	struct q *q;
	struct st_conf conf; /* zeroed when it cannot be read */
	struct state_look page;
	int page_error;                   /* of opening it */
	const struct pulse_daemon *pulse; /* in the page, or NULL */
	bool running;
	pid_t pid; /* of the daemon; 0: unknown */
	uid_t uid; /* its user: of the process, of --user, of its files; else root */
	gid_t gid;
	char user[64];
	bool root;         /* we are */
	bool systemd;      /* and it has a unit */
	const char *check; /* the one that runs */
	const char *skip;  /* --skip, or NULL */
	char inside[300];  /* "nsenter --net=PATH ", or "" */
	struct dr_finding *found;
	unsigned n, unread, checks;
	char **not_read;
	bool skipped; /* the last finding was not wanted */
	bool no_memory;
};

__attribute__((format(printf, 4, 5))) void dr_find(struct doctor *, enum dr_level,
						   const char *check, const char *fmt, ...);
/* Of the finding before: one line for the shell. */
__attribute__((format(printf, 2, 3))) void dr_fix(struct doctor *, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void dr_unread(struct doctor *, const char *fmt, ...);

/* A word for the shell; quoted where it must be. */
#define DR_WORD 4400u
const char *dr_word(char buf[DR_WORD], const char *word);
/*
 * The command that has the configuration say key=value in that member's section,
 * or not say it (value NULL), and the daemon take notice.
 */
void dr_fix_option(struct doctor *, const struct st_member *, const char *key,
		   const char *value);
/* " && systemctl restart ctflowd", where that is to be done, or "". */
const char *dr_restart(const struct doctor *);
/* The command that starts the daemon; to be freed, or NULL. */
char *dr_start(const struct doctor *);
/* The ctflowd that belongs to this program; false: not found. */
bool dr_daemon(char *path, size_t size);
/* The number in a file, or -errno. */
int64_t dr_number(const char *path);
/* The daemon's user may do that (R_OK, W_OK, X_OK). */
bool dr_may(const struct doctor *, const char *path, int mode);
/* How full the disk is that `path` is on; said once a disk. */
void dr_disk(struct doctor *, const char *path, const struct st_member *);

/* First of all; false: it cannot be read, which is a finding. */
bool dr_load_conf(struct doctor *);
/* The checks. */
void dr_check_conf(struct doctor *);      /* doctor_conf.c */
void dr_check_daemon(struct doctor *);    /* doctor_daemon.c */
void dr_check_state(struct doctor *);     /* the same */
void dr_check_modules(struct doctor *);   /* doctor_kernel.c */
void dr_check_settings(struct doctor *);  /* the same */
void dr_check_table(struct doctor *);     /* the same */
void dr_check_timeouts(struct doctor *);  /* the same */
void dr_check_clock(struct doctor *);     /* doctor_host.c */
void dr_check_buffers(struct doctor *);   /* the same */
void dr_check_links(struct doctor *);     /* the same: GRO, LRO */
void dr_check_hooks(struct doctor *);     /* doctor_nft.c */
void dr_check_offload(struct doctor *);   /* the same */
void dr_check_notrack(struct doctor *);   /* the same */
void dr_check_listeners(struct doctor *); /* doctor_listen.c */
void dr_check_databases(struct doctor *); /* doctor_db.c */
void dr_check_spools(struct doctor *);    /* doctor_spool.c */

/* Of a kernel whose files are below root ("" here); for tests, too. */
void dr_modules_below(struct doctor *, const char *root, const char *release);

#endif
