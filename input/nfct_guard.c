/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nfct_guard.c - the guard as the daemon sees it; see nfct_guard.h. */
#include "nfct.h"
#include "nfct_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define END_MS 1000u /* for a guard to end when it is told to */
#define QUIET (60 * NFCT_SEC)
#define PAUSE_MS 1000u /* from the second try on, twice as long each time */
#define PAUSE_MAX_MS 60000u

void
nfct_guard_init(struct nfct_guard *g)
{
	*g = (struct nfct_guard){ .link = -1, .count = -1, .max = -1, .diag = -1 };
}

/* ---- the page ------------------------------------------------------------------ */

/* An input that is started anew in the same process has left nobody behind. */
static int
take_page(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;
	struct nfct_page *was;
	bool kept = false;

	if (g->page)
		return 0;
	g->page = ctf_state(nfct_ctx(s), "guard", sizeof(*g->page), &kept);
	if (!g->page)
		return -ENOMEM;
	was = ctf_state_before(nfct_ctx(s), "guard", sizeof(*g->page));
	if (was) {
		uint32_t turn = atomic_load(&was->turn) & 1;

		g->copy = &g->page->note[turn];
		if (atomic_load(&was->note[turn].pid))
			g->before = &was->note[turn];
	}
	return 0;
}

/* The note for the next guard. */
static struct nfct_note *
new_note(const struct nfct *s)
{
	const struct nfct_valve *v = &s->valve;
	struct nfct_note *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (n == MAP_FAILED)
		return NULL;
	atomic_store(&n->beat, ctf_now());
	atomic_store(&n->empty_ns, ctf_now());
	atomic_store(&n->stored, s->hand.kept);
	atomic_store(&n->since_ns, s->cover.from_ns);
	if (v->open) {
		atomic_store(&n->base, v->base);
		atomic_store(&n->exact, v->exact);
		atomic_store(&n->from_ns, v->from_ns);
		atomic_store(&n->let_go_ns, v->open_ns);
		atomic_store(&n->let_go, NFCT_BY_VALVE);
	}
	return n;
}

static void
drop_note(struct nfct_guard *g)
{
	if (g->note)
		munmap(g->note, sizeof(*g->note));
	g->note = NULL;
}

/* The copy that comes next; the one in force stays with who has it. */
static struct nfct_note *
next_copy(struct nfct_page *p)
{
	return &p->note[(atomic_load(&p->turn) + 1) & 1];
}

/* After the fork: if the disk hangs, there is a guard already. */
static void
turn_page(struct nfct_guard *g)
{
	memset(g->kept, 0, sizeof(*g->kept));
	nfct_note_keep(g->note, g->kept);
	atomic_store(&g->kept->pid, (uint32_t)g->pid);
	atomic_store(&g->page->turn, atomic_load(&g->page->turn) + 1);
}

void
nfct_guard_keep(struct nfct_guard *g)
{
	if (g->note)
		nfct_note_keep(g->note, g->kept);
}

/* ---- a guard ------------------------------------------------------------------- */

static int
open_setting(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* They must be opened in the namespace, and a later guard is made outside of it. */
static void
open_views(struct nfct_guard *g)
{
	if (g->count < 0)
		g->count = open_setting("/proc/sys/net/netfilter/nf_conntrack_count");
	if (g->max < 0)
		g->max = open_setting("/proc/sys/net/netfilter/nf_conntrack_max");
	if (g->diag < 0)
		g->diag = nfct_diag_open();
}

static int
fork_guard(struct nfct *s)
{
	const struct nfct_conf *c = nfct_conf(s);
	struct nfct_guard *g = &s->guard;
	struct nfct_guard_job job = { .fd = s->fd,
				      .count = g->count,
				      .max = g->max,
				      .diag = g->diag,
				      .timeout_ms = (unsigned)c->guard_timeout,
				      .fill = (unsigned)c->reliable_fill,
				      .mask = s->mask,
				      .everywhere = nfct_everywhere(s) };
	int link[2];

	drop_note(g);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, link) < 0)
		return -errno;
	job.link = link[1];
	job.note = g->note = new_note(s);
	job.kept = g->kept = next_copy(g->page);
	g->pid = g->note ? fork() : -1;
	if (g->pid == 0)
		nfct_guard_run(&job);
	close(link[1]);
	if (g->pid < 0) {
		int r = -errno;

		g->pid = 0;
		drop_note(g);
		close(link[0]);
		return r;
	}
	g->link = link[0];
	turn_page(g);
	return 0;
}

static void
must_fork(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;
	uint64_t now = ctf_now();
	int r = fork_guard(s);

	g->tried_ms = ctf_mono_ms();
	if (r < 0 && now - g->said_none_ns >= QUIET) {
		g->said_none_ns = now;
		ctf_log(nfct_ctx(s), CTF_ERROR,
			"no guard process (%s): if ctflowd hangs, reliable=1 can fill the "
			"connection table",
			strerror(-r));
	}
}

/* The first one that dies has a successor at once; a host that allows none is spared. */
static void
must_fork_again(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;
	uint64_t since = ctf_mono_ms() - g->tried_ms;

	if (since < g->pause_ms)
		return;
	if (g->pause_ms == 0 || since >= 2 * PAUSE_MAX_MS)
		g->pause_ms = PAUSE_MS;
	else if (g->pause_ms < PAUSE_MAX_MS)
		g->pause_ms *= 2;
	must_fork(s);
}

void
nfct_guard_start(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;

	g->wanted = take_page(s) == 0 && nfct_keeps(s) && nfct_conf(s)->guard_timeout;
	/* Of a namespace by path only now, should a reload want one. */
	if (g->wanted || s->ns.path[0])
		open_views(g);
	if (g->wanted)
		must_fork(s);
}

void
nfct_guard_started(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;

	if (g->since_ns)
		s->cover.from_ns = g->since_ns;
	nfct_guard_since(g, s->cover.from_ns);
}

void
nfct_guard_since(struct nfct_guard *g, uint64_t ns)
{
	if (g->note)
		atomic_store(&g->note->since_ns, ns);
	nfct_guard_keep(g);
}

static void
sleep_ms(unsigned msec)
{
	struct timespec t = { 0, (long)msec * 1000000 };

	nanosleep(&t, NULL);
}

/* 0 while it lives. */
static pid_t
reap(pid_t pid, unsigned msec)
{
	uint64_t limit = ctf_mono_ms() + msec;

	for (;;) {
		pid_t r = waitpid(pid, NULL, WNOHANG);

		if (r != 0 || ctf_mono_ms() >= limit)
			return r;
		sleep_ms(1);
	}
}

void
nfct_guard_end(struct nfct_guard *g)
{
	const int fds[] = { g->link, g->count, g->max, g->diag };

	if (g->note && atomic_load(&g->note->stage) == NFCT_AT_WORK) {
		/* the other way round than elsewhere: while this waits it guards */
		atomic_store(&g->kept->stage, NFCT_ENDED);
		atomic_store(&g->note->stage, NFCT_ENDED);
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (g->pid > 0 && atomic_load(&g->note->stage) == NFCT_ENDED &&
	    reap(g->pid, END_MS) == 0) {
		(void)kill(g->pid, SIGKILL);
		(void)reap(g->pid, END_MS / 10);
	}
	drop_note(g);
	nfct_guard_init(g);
}

void
nfct_guard_renew(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;
	struct nfct_guard was = *g;

	nfct_valve_adopt(s);
	g->count = g->max = g->diag = -1; /* of the namespace: they stay open */
	nfct_guard_end(g);
	g->count = was.count;
	g->max = was.max;
	g->diag = was.diag;
	g->page = was.page;
	g->wanted = g->page && nfct_keeps(s) && nfct_conf(s)->guard_timeout;
	if (!g->wanted)
		return;
	if (!s->ns.path[0])
		open_views(g);
	must_fork(s);
	nfct_guard_since(g, s->cover.from_ns);
}

/* ---- letting go ------------------------------------------------------------------ */

bool
nfct_guard_released(const struct nfct_guard *g)
{
	return g->note && atomic_load(&g->note->let_go) == NFCT_BY_GUARD;
}

bool
nfct_guard_claim(struct nfct_guard *g)
{
	uint32_t kept = NFCT_KEPT;

	return !g->note ||
	       atomic_compare_exchange_strong(&g->note->let_go, &kept, NFCT_CLAIMED);
}

void
nfct_guard_opened(struct nfct *s)
{
	const struct nfct_valve *v = &s->valve;
	struct nfct_note *n = s->guard.note;

	if (!n)
		return;
	atomic_store(&n->base, v->base);
	atomic_store(&n->exact, v->exact);
	atomic_store(&n->from_ns, v->from_ns);
	atomic_store(&n->let_go_ns, v->open_ns);
	atomic_store(&n->let_go, NFCT_BY_VALVE);
	nfct_guard_keep(&s->guard);
}

void
nfct_guard_closed(struct nfct_guard *g)
{
	if (g->note)
		atomic_store(&g->note->let_go, NFCT_KEPT);
	nfct_guard_keep(g);
}

void
nfct_guard_stored(struct nfct_guard *g)
{
	if (g->note)
		atomic_store(&g->note->stored, 1);
	nfct_guard_keep(g);
}

bool
nfct_guard_handed_over(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;

	nfct_guard_look(s);
	if (g->pid <= 0)
		return false;
	nfct_valve_adopt(s);
	if (s->valve.open) { /* so far it is our loss, and said */
		(void)nfct_events_keep(s->fd, true);
		nfct_valve_end(s);
		nfct_guard_closed(g);
	} else {
		nfct_count_retries(s, ctf_now());
	}
	atomic_store(&g->note->stage, NFCT_HANDED_OVER);
	nfct_guard_keep(g);
	return true;
}

/* ---- its death ------------------------------------------------------------------- */

/* It may have let go and have died before it could say so. */
static void
settle(struct nfct *s)
{
	struct nfct_note *n = s->guard.note;
	uint32_t claimed = NFCT_CLAIMED;

	if (atomic_load(&n->let_go) == claimed) {
		atomic_store(&n->base, s->drops);
		atomic_store(&n->exact, 0);
		atomic_store(&n->from_ns, s->calm_ns);
		atomic_store(&n->let_go_ns, ctf_now());
		atomic_store(&n->let_go, NFCT_BY_GUARD);
	}
	nfct_valve_adopt(s);
}

void
nfct_guard_look(struct nfct *s)
{
	struct nfct_guard *g = &s->guard;
	uint64_t now = ctf_now();

	if (!g->wanted || (g->pid > 0 && reap(g->pid, 0) == 0))
		return;
	if (g->pid > 0) {
		g->pid = 0;
		settle(s);
		close(g->link);
		g->link = -1;
		if (now - g->said_ns >= QUIET)
			ctf_log(nfct_ctx(s), CTF_WARNING,
				"the guard process has died: another one is started");
		g->said_ns = now;
	}
	must_fork_again(s);
}
