/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_probe.c - asks a child what this kernel can do, else learns it. */
#include "nfct.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#define PATIENCE 2000u /* ms */
#define LESSONS 100u   /* ends, at most, until nothing new is expected */
#define EVENT_TIME 27  /* CTA_TIMESTAMP_EVENT; not in older headers */

static const struct {
	unsigned attr;
	const char *word;
} abilities[] = {
	{ CTA_ID, "id" },
	{ CTA_STATUS, "status" },
	{ CTA_COUNTERS_ORIG, "counters" },
	{ CTA_TIMESTAMP, "timestamp" },
	{ CTA_TIMEOUT, "timeout" },
	{ CTA_PROTOINFO, "state" },
	{ CTA_MARK, "mark" },
	{ CTA_ZONE, "zone" },
	{ EVENT_TIME, "event_time" },
};

void
nfct_probe_words(uint32_t have, char text[NFCT_ABILITIES])
{
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(abilities) / sizeof(*abilities); i++)
		if (have >> abilities[i].attr & 1)
			len += (size_t)snprintf(text + len, NFCT_ABILITIES - len, "%s%s",
						len ? " " : "", abilities[i].word);
}

static void
say_known(struct nfct *s, const char *how)
{
	char words[NFCT_ABILITIES];

	nfct_probe_words(s->probe.abilities, words);
	ctf_log(nfct_ctx(s), CTF_NOTICE, "this kernel tells at the end of a flow (%s): %s", how,
		words);
}

/* ---- the child ---------------------------------------------------------------------- */

static void
forget_answer(struct nfct *s)
{
	if (s->probe.fd < 0)
		return;
	(void)ctf_watch(nfct_ctx(s), s->probe.fd, NULL);
	close(s->probe.fd);
	s->probe.fd = -1;
}

static void
learn_instead(struct nfct *s, const char *what, int error)
{
	char command[320];

	nfct_setcap(command, sizeof(command), "cap_net_admin,cap_sys_admin");
	s->probe.learning = true;
	ctf_log(nfct_ctx(s), CTF_NOTICE,
		"what this kernel tells at the end of a flow could not be tried out (%s: %s), "
		"so "
		"coverage lacks it until flows have ended%s%s",
		what, strerror(error),
		error == EPERM ? " (needs CAP_SYS_ADMIN); to change it: " : "",
		error == EPERM ? command : "");
}

static int
read_answer(void *self, struct ctf_batch *b)
{
	struct nfct *s = self;
	struct nfct_probe_answer a = { 0 };
	ssize_t n = read(s->probe.fd, &a, sizeof(a));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CTF_READ_IDLE;
	forget_answer(s);
	a.what[sizeof(a.what) - 1] = '\0';
	if (n != (ssize_t)sizeof(a)) {
		learn_instead(s, "no answer", ECHILD);
	} else if (a.error || !a.abilities) {
		learn_instead(s, a.what, -a.error);
	} else {
		s->probe.abilities = a.abilities;
		s->probe.news = true;
		say_known(s, "tried out");
	}
	return CTF_READ_IDLE;
}

void
nfct_probe_start(struct nfct *s)
{
	struct nfct_probe *p = &s->probe;
	int fd[2], r = 0;

	*p = (struct nfct_probe){ .fd = -1, .began_ms = ctf_mono_ms() };
	if (pipe2(fd, O_CLOEXEC | O_NONBLOCK) < 0) {
		learn_instead(s, "pipe", errno);
		return;
	}
	p->child = fork();
	if (p->child == 0)
		nfct_probe_child(fd[1]);
	close(fd[1]);
	p->fd = fd[0];
	if (p->child < 0) {
		r = errno;
		p->child = 0;
	} else {
		r = -ctf_watch(nfct_ctx(s), p->fd, read_answer);
	}
	if (r) {
		forget_answer(s);
		learn_instead(s, "fork", r);
	}
}

bool
nfct_probe_tick(struct nfct *s)
{
	struct nfct_probe *p = &s->probe;
	bool news = p->news;

	if (p->child && ctf_mono_ms() - p->began_ms >= PATIENCE)
		(void)kill(p->child, SIGKILL);
	if (p->child && waitpid(p->child, NULL, WNOHANG) == p->child)
		p->child = 0;
	p->news = false;
	return news;
}

void
nfct_probe_stop(struct nfct *s)
{
	struct nfct_probe *p = &s->probe;

	if (p->child > 0) {
		(void)kill(p->child, SIGKILL);
		(void)waitpid(p->child, NULL, 0);
		p->child = 0;
	}
	forget_answer(s);
}

/* ---- learning ------------------------------------------------------------------------ */

void
nfct_probe_learn(struct nfct *s, const void *msg, size_t len)
{
	struct nfct_probe *p = &s->probe;
	uint32_t have = nfct_probe_attributes(msg, len);

	p->seen |= have;
	p->learning = ++p->learned < LESSONS && !(have >> CTA_PROTOINFO & 1);
	if (p->learning)
		return;
	p->abilities = p->seen; /* all at once: it is no change of what is covered */
	p->news = true;
	say_known(s, "learned");
}
