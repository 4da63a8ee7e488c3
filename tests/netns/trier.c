/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TRIER: a filter that tries what the daemon must not be able to do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctflow/plugin.h>

struct trier {
	struct ctf_obj obj;
	bool tried;
};

static void
say(const struct trier *t, const char *what, int failed)
{
	ctf_log(t->obj.ctx, CTF_NOTICE, "TRY %s: %s", what, failed ? strerror(errno) : "done");
}

static void
try_open(const struct trier *t, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	say(t, path, fd < 0);
	if (fd >= 0)
		close(fd);
}

static void
try_socket(const struct trier *t, const char *what, int family, int type)
{
	int fd = socket(family, type, 1 /* ICMP */);

	say(t, what, fd < 0);
	if (fd >= 0)
		close(fd);
}

/* 0: the program ran; else errno. */
static void
try_exec(const struct trier *t)
{
	static char *const argv[] = { "true", NULL };
	int st = 0;
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/true", argv);
		_exit(errno);
	}
	if (pid > 0 && waitpid(pid, &st, 0) == pid)
		errno = WEXITSTATUS(st);
	say(t, "/bin/true", st);
}

static enum ctf_verdict
apply(void *self, struct ctf_rec *r, struct ctf_batch *b)
{
	struct trier *t = self;

	if (!t->tried) {
		try_open(t, "/etc/shadow", O_RDONLY);
		try_open(t, "/proc/sys/kernel/core_pattern", O_WRONLY);
		try_open(t, "/proc/sys/net/netfilter/nf_conntrack_acct", O_WRONLY);
		try_open(t, "/proc/self/oom_score_adj", O_WRONLY);
		try_socket(t, "raw", AF_INET, SOCK_RAW);
		try_socket(t, "packet", AF_PACKET, SOCK_RAW);
		try_exec(t);
		say(t, "setuid", setuid(0) || geteuid() != 0);
		t->tried = true;
	}
	return CTF_PASS;
}

CTF_PLUGIN(trier) = {
	.abi = CTF_ABI,
	.role = CTF_FILTER,
	.name = "TRIER",
	.doc = "tries what it must not be able to do",
	.size = sizeof(struct trier),
	.apply = apply,
};
