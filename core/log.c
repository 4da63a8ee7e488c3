/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's log: where lines go and which.  The one file with state of its
 * own, because every thread must be able to log without being handed anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LINE_MAX_BYTES 4096u

static struct {
	pthread_mutex_t lock;
	atomic_int level;
	bool verbose, starting;
	bool copy;  /* stderr is another file than the destination */
	int stream; /* STDOUT_FILENO, STDERR_FILENO, or 0: neither */
	int fd;     /* -1: not a file */
	char *path; /* of fd */
} out = { .lock = PTHREAD_MUTEX_INITIALIZER, .level = CTF_NOTICE, .fd = -1, .copy = true };

static int
syslog_priority(enum ctf_level level)
{
	switch (level) {
	case CTF_DEBUG:
		return LOG_DEBUG;
	case CTF_INFO:
		return LOG_INFO;
	case CTF_NOTICE:
		return LOG_NOTICE;
	case CTF_WARNING:
		return LOG_WARNING;
	case CTF_ERROR:
		return LOG_ERR;
	case CTF_FATAL:
		return LOG_CRIT;
	}
	return LOG_ERR;
}

/* A configuration or a peer must not be able to forge a second line. */
static void
clean(char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			*s = '?';
}

/* "Sat Nov 21 05:17:35 2026 <5> ", as ctime(3) writes it. */
static size_t
put_stamp(char *buf, size_t size, enum ctf_level level)
{
	char when[64];
	time_t now = time(NULL);
	int n;

	if (!ctime_r(&now, when))
		strcpy(when, "?");
	when[strcspn(when, "\n")] = '\0';
	n = snprintf(buf, size, "%s <%d> ", when, (int)level);
	return (size_t)n;
}

static void
write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return; /* nowhere left to say so */
		p += k;
		n -= (size_t)k;
	}
}

/* line: a whole one, its newline included; text: where the message begins. */
static void
emit(enum ctf_level level, char *line, size_t len, const char *text)
{
	pthread_mutex_lock(&out.lock);
	if (out.stream)
		write_all(out.stream, line, len);
	else if (out.fd >= 0)
		write_all(out.fd, line, len);
	if (out.copy && (out.verbose || (out.starting && level >= CTF_ERROR)))
		write_all(STDERR_FILENO, line, len);
	if (!out.stream && out.fd < 0) {
		line[len - 1] = '\0';
		syslog(syslog_priority(level), "%s", text);
	}
	pthread_mutex_unlock(&out.lock);
}

/* suffix is appended however long the text is. */
__attribute__((format(printf, 2, 0))) static void
put(enum ctf_level level, const char *fmt, va_list ap, const char *suffix)
{
	char line[LINE_MAX_BYTES];
	size_t room, stamp = put_stamp(line, sizeof(line), level);
	int n;

	room = sizeof(line) - stamp - strlen(suffix) - 1; /* 1: the newline */
	n = vsnprintf(line + stamp, room, fmt, ap);
	if (n < 0)
		line[stamp] = '\0';
	else if ((size_t)n >= room)
		memcpy(line + stamp + room - 4, "...", 4);
	strcat(line + stamp, suffix);
	clean(line + stamp);
	strcat(line + stamp, "\n");
	emit(level, line, strlen(line), line + stamp);
}

bool
log_wants(enum ctf_level level)
{
	return (int)level >= atomic_load_explicit(&out.level, memory_order_relaxed);
}

void
log_vmsg(enum ctf_level level, const char *fmt, va_list ap)
{
	int saved = errno;

	if (log_wants(level))
		put(level, fmt, ap, "");
	errno = saved;
}

__attribute__((format(printf, 2, 0))) static void
put_errno(enum ctf_level level, const char *fmt, va_list ap)
{
	int saved = errno;
	char why[160], suffix[164];

	if (log_wants(level)) {
		snprintf(suffix, sizeof(suffix), ": %s", strerror_r(saved, why, sizeof(why)));
		errno = saved;
		put(level, fmt, ap, suffix);
	}
	errno = saved;
}

void
log_msg(enum ctf_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_DEBUG, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_INFO, fmt, ap);
	va_end(ap);
}

void
log_notice(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_NOTICE, fmt, ap);
	va_end(ap);
}

void
log_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_errno(CTF_WARNING, fmt, ap);
	va_end(ap);
}

void
log_warnx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_WARNING, fmt, ap);
	va_end(ap);
}

void
log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_errno(CTF_ERROR, fmt, ap);
	va_end(ap);
}

void
log_errorx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_ERROR, fmt, ap);
	va_end(ap);
}

void
log_fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_errno(CTF_FATAL, fmt, ap);
	va_end(ap);
}

void
log_fatalx(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(CTF_FATAL, fmt, ap);
	va_end(ap);
}

bool
log_limit_pass(struct log_limit *lim, uint64_t now_ns, uint64_t *ret_held)
{
	bool pass;

	pthread_mutex_lock(&out.lock);
	pass = now_ns >= lim->next_ns;
	if (pass) {
		*ret_held = lim->held;
		lim->held = 0;
		lim->next_ns = now_ns + LOG_LIMIT_NS;
	} else {
		lim->held++;
	}
	pthread_mutex_unlock(&out.lock);
	return pass;
}

void
log_msg_limit(struct log_limit *lim, enum ctf_level level, const char *fmt, ...)
{
	int saved = errno;
	char suffix[64] = "";
	struct timespec ts;
	uint64_t held;
	va_list ap;

	if (!log_wants(level))
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (log_limit_pass(lim, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec,
			   &held)) {
		if (held)
			snprintf(suffix, sizeof(suffix), " (%ju more suppressed)",
				 (uintmax_t)held);
		errno = saved;
		va_start(ap, fmt);
		put(level, fmt, ap, suffix);
		va_end(ap);
	}
	errno = saved;
}

static int
open_file(const char *path, int *ret_fd, char **ret_path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	/* A FIFO nobody reads must not hang the start. */
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		  0644);
	if (fd < 0) {
		int err = errno;

		free(copy);
		return -err;
	}
	*ret_fd = fd;
	*ret_path = copy;
	return 0;
}

/* On a terminal, or with 2>&1, a copy would say everything twice. */
static bool
is_stderr(int fd)
{
	struct stat a, b;

	return fd >= 0 && fstat(fd, &a) == 0 && fstat(STDERR_FILENO, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Takes fd and path over. */
static void
switch_to(int fd, char *path, int stream, bool openlog_too)
{
	int old_fd;
	char *old_path;

	pthread_mutex_lock(&out.lock);
	old_fd = out.fd;
	old_path = out.path;
	out.fd = fd;
	out.path = path;
	out.stream = stream;
	out.copy = !is_stderr(stream ? stream : fd);
	if (openlog_too)
		openlog("ctflowd", LOG_PID, LOG_DAEMON);
	else if (fd < 0 && !stream)
		openlog("ctflowd", 0, LOG_USER);
	pthread_mutex_unlock(&out.lock);
	if (old_fd >= 0)
		close(old_fd);
	free(old_path);
}

int
log_open(const char *dest)
{
	char *path = NULL;
	int fd = -1, ret;

	if (!dest || !strcmp(dest, "syslog")) {
		switch_to(-1, NULL, 0, dest != NULL);
		return 0;
	}
	if (!strcmp(dest, "stdout")) {
		switch_to(-1, NULL, STDOUT_FILENO, false);
		return 0;
	}
	if (!strcmp(dest, "stderr")) {
		switch_to(-1, NULL, STDERR_FILENO, false);
		return 0;
	}
	ret = open_file(dest, &fd, &path);
	if (ret < 0)
		return ret;
	switch_to(fd, path, 0, false);
	return 0;
}

int
log_reopen(void)
{
	char *path, *again = NULL;
	int fd = -1, ret;

	pthread_mutex_lock(&out.lock);
	path = out.path ? strdup(out.path) : NULL;
	pthread_mutex_unlock(&out.lock);
	if (!path)
		return 0; /* syslog and stdout need nothing */
	ret = open_file(path, &fd, &again);
	if (ret < 0) {
		errno = -ret;
		log_error("%s: cannot be reopened, the old file goes on", path);
	} else {
		switch_to(fd, again, 0, false);
	}
	free(path);
	return ret;
}

void
log_close(void)
{
	switch_to(-1, NULL, 0, false);
	closelog();
	log_set_level(CTF_NOTICE);
	log_set_verbose(false);
	log_set_starting(false);
}

void
log_set_level(int level)
{
	atomic_store_explicit(&out.level, level, memory_order_relaxed);
}

int
log_get_level(void)
{
	return atomic_load_explicit(&out.level, memory_order_relaxed);
}

void
log_set_starting(bool on)
{
	pthread_mutex_lock(&out.lock);
	out.starting = on;
	pthread_mutex_unlock(&out.lock);
}

void
log_set_verbose(bool on)
{
	pthread_mutex_lock(&out.lock);
	out.verbose = on;
	pthread_mutex_unlock(&out.lock);
}

int
log_fd(void)
{
	int fd;

	pthread_mutex_lock(&out.lock);
	fd = out.fd;
	pthread_mutex_unlock(&out.lock);
	return fd;
}

bool
log_path(char *ret_path, size_t size)
{
	bool is_file;

	pthread_mutex_lock(&out.lock);
	is_file = out.path != NULL;
	if (is_file)
		snprintf(ret_path, size, "%s", out.path);
	pthread_mutex_unlock(&out.lock);
	return is_file;
}
