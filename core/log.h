/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log.  Any thread; errno is preserved.  A line is
 * "Sat Nov 21 05:17:35 2026 <5> text"; control characters in it become '?'.
 */
#ifndef CTF_LOG_H
#define CTF_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <ctflow/plugin.h>

#define LOG_FMT(n) __attribute__((format(printf, n, (n) + 1)))

/*
 * NULL: syslog as before any logfile= line; "syslog", "stdout", "stderr" (ours), or a path to
 * append to.  On failure (-errno) the old destination stays.
 */
int log_open(const char *dest);
/* SIGHUP: opens the file anew; if that fails the old one goes on and says so. */
int log_reopen(void);
/* Back to the start: syslog, CTF_NOTICE, no copy. */
void log_close(void);
/* Lines below the level are not even formatted. */
void log_set_level(int level);
int log_get_level(void);
bool log_wants(enum ctf_level level); /* would a line of that level be printed? */
/* -v: a copy of each line to stderr. */
void log_set_verbose(bool on);
/* Until the daemon runs, errors are copied to stderr: its caller still looks. */
void log_set_starting(bool on);
/* The open file's descriptor, to chown it to the user of -u; -1 if none. */
int log_fd(void);
/* Its path; false if there is none. */
bool log_path(char *ret_path, size_t size);

void log_msg(enum ctf_level level, const char *fmt, ...) LOG_FMT(2);
void log_vmsg(enum ctf_level level, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

void log_debug(const char *fmt, ...) LOG_FMT(1);
void log_info(const char *fmt, ...) LOG_FMT(1);
void log_notice(const char *fmt, ...) LOG_FMT(1);
void log_warn(const char *fmt, ...) LOG_FMT(1); /* appends ": " and strerror(errno) */
void log_warnx(const char *fmt, ...) LOG_FMT(1);
void log_error(const char *fmt, ...) LOG_FMT(1); /* appends it as well */
void log_errorx(const char *fmt, ...) LOG_FMT(1);
void log_fatal(const char *fmt, ...) LOG_FMT(1); /* appends it as well; returns */
void log_fatalx(const char *fmt, ...) LOG_FMT(1);

#define LOG_LIMIT_NS UINT64_C(10000000000)

struct log_limit {        /* zeroed = nothing said yet; one per kind of message */
	uint64_t next_ns; /* CLOCK_MONOTONIC */
	uint64_t held;    /* lines not printed since the last one */
};

/* At most one line in 10 s, then with "(N more suppressed)". */
void log_msg_limit(struct log_limit *, enum ctf_level level, const char *fmt, ...) LOG_FMT(3);
/* The same for a given time; what log_msg_limit() is made of. */
bool log_limit_pass(struct log_limit *, uint64_t now_ns, uint64_t *ret_held);

#endif
