/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_guard_proc.c - the guard itself.
 *
 * Forked from a process that may have threads, so nothing here takes a lock
 * or memory.  While the daemon lives and nothing happens the guard sleeps in
 * poll(); woken by an event it looks every now and then whether the daemon
 * goes on, until it is idle again.
 */
#include "nfct.h"
#include "nfct_diag.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define NOBODY 65534
#define LOOK_MS 10u     /* between looks while it matters */
#define MOURN_MS 20u    /* and when the daemon is dead */
#define CALM_MS 1200u   /* the kernel's first retry comes after a second */
#define OTHERS_MS 1000u /* between two looks at who else listens */
#define FDS_MAX 65536u  /* to close one by one, if it must be */

struct guard {
	const struct nfct_guard_job *job;
	struct nfct_note *note, *kept;
	uint64_t look_ms, look_ns; /* the last look; by the steady and by the wall clock */
	uint64_t others_ms;
	struct nfct_mem mem;
	/* signs of life */
	uint64_t beat;
	uint64_t awake_ms; /* it showed one, or had nothing to do */
	uint64_t empty_ns; /* the socket was empty */
	bool idle;         /* it is, and there was no sign either */
	/* events do not fit since then */
	bool stalled;
	uint64_t stalled_ns, grown_ms;
	uint64_t half_ms; /* more than half of the buffer is full since; 0: it is not */
};

/* ---- words shared with the daemon ------------------------------------------- */

void
nfct_word_wait(_Atomic uint32_t *word, uint32_t is, unsigned msec)
{
	struct timespec t = { msec / 1000, (long)(msec % 1000) * 1000000 };

	(void)syscall(SYS_futex, word, FUTEX_WAIT, is, &t, NULL, 0);
}

void
nfct_word_set(_Atomic uint32_t *word, uint32_t to)
{
	atomic_store(word, to);
	(void)syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

#define KEEP(member) atomic_store(&kept->member, atomic_load(&n->member))

void
nfct_note_keep(const struct nfct_note *n, struct nfct_note *kept)
{
	KEEP(stage);
	KEEP(since_ns);
	KEEP(empty_ns);
	KEEP(stored);
	KEEP(base);
	KEEP(exact);
	KEEP(from_ns);
	KEEP(let_go_ns);
	KEEP(lost);
	KEEP(to_ns);
	KEEP(let_go);
}

static uint64_t
wall_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * NFCT_SEC + (uint64_t)t.tv_nsec;
}

/* ---- looking ----------------------------------------------------------------- */

/* The number in a file of /proc/sys, or -1. */
static int64_t
read_setting(int fd)
{
	char text[24];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
	int64_t value = 0;

	if (n <= 0 || text[0] < '0' || text[0] > '9')
		return -1;
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		value = value * 10 + (text[i] - '0');
	return value;
}

/*
 * Is it high time?  Only if we can be the cause: events do not fit.  For
 * tables that are not to be seen the buffer speaks.
 */
static bool
is_filled(const struct guard *g)
{
	int64_t count = read_setting(g->job->count), max = read_setting(g->job->max);
	bool seen = count >= 0 && max >= 0;

	if (seen && g->stalled && max > 0 && count * 100 >= max * (int64_t)g->job->fill)
		return true;
	return (!seen || g->job->everywhere) && g->half_ms &&
	       g->look_ms - g->half_ms >= g->job->timeout_ms;
}

/* Asked of the kernel: the daemon may have been stopped half-way. */
static bool
is_kept(const struct guard *g)
{
	return nfct_events_kept(g->job->fd);
}

static void
look_at_drops(struct guard *g, uint32_t before)
{
	if (g->mem.drops != before) {
		if (!g->stalled)
			g->stalled_ns = g->look_ns;
		g->stalled = true;
		g->grown_ms = ctf_mono_ms();
	} else if (g->stalled && g->look_ms - g->grown_ms > CALM_MS) {
		g->stalled = false;
	}
}

static void
look(struct guard *g)
{
	uint64_t beat = atomic_load(&g->note->beat), now = wall_ns();
	uint32_t before = g->mem.drops;
	bool alive = beat != g->beat;

	(void)nfct_events_mem(g->job->fd, &g->mem);
	look_at_drops(g, before);
	g->look_ms = ctf_mono_ms();
	g->look_ns = now;
	g->beat = beat;
	if (g->mem.used == 0)
		g->empty_ns = now;
	if (alive || g->mem.used == 0)
		g->awake_ms = g->look_ms;
	if (g->mem.used <= g->mem.rcvbuf / 2)
		g->half_ms = 0;
	else if (!g->half_ms)
		g->half_ms = g->look_ms;
	g->idle = !alive && g->mem.used == 0 && !g->stalled;
}

/* Another reliable listener makes the kernel repeat events: drops are no flows. */
static bool
may_be_exact(const struct guard *g)
{
	return g->job->mask == CTF_DESTROY && !g->job->everywhere &&
	       nfct_diag_reliable(g->job->diag, g->job->fd) == 0;
}

/* ---- letting go ---------------------------------------------------------------- */

static void
let_go(struct guard *g, uint64_t from_ns)
{
	struct nfct_note *n = g->note;
	uint32_t kept = NFCT_KEPT;
	struct nfct_mem after = { 0 };

	if (!atomic_compare_exchange_strong(&n->let_go, &kept, NFCT_CLAIMED)) {
		/* the daemon was about to, or has; its count begins before this */
		(void)nfct_events_keep(g->job->fd, false);
		return;
	}
	(void)nfct_events_mem(g->job->fd, &g->mem);
	(void)nfct_events_keep(g->job->fd, false);
	(void)nfct_events_mem(g->job->fd, &after);
	atomic_store(&n->base, g->mem.drops);
	atomic_store(&n->exact, g->mem.drops == after.drops && may_be_exact(g));
	atomic_store(&n->from_ns, from_ns);
	atomic_store(&n->let_go_ns, wall_ns());
	atomic_store(&n->let_go, NFCT_BY_GUARD);
}

static unsigned
pause_ms(const struct guard *g, bool silent)
{
	unsigned quarter = g->job->timeout_ms / 4;

	if (silent && g->stalled)
		return LOOK_MS;
	return quarter < LOOK_MS ? LOOK_MS : quarter > 100 ? 100 : quarter;
}

/* Until the daemon has gone. */
static void
watch(struct guard *g)
{
	struct pollfd p[2] = { { .fd = g->job->link, .events = POLLIN },
			       { .fd = g->job->fd, .events = POLLIN } };

	for (;;) {
		bool silent = g->look_ms - g->awake_ms >= g->job->timeout_ms;

		if (silent && is_filled(g) && is_kept(g))
			let_go(g, g->stalled ? g->stalled_ns : wall_ns());
		if (poll(p, g->idle ? 2 : 1, g->idle ? -1 : (int)pause_ms(g, silent)) > 0) {
			if (p[0].revents)
				return;
			/* the first event: until now there was nothing to do */
			g->awake_ms = ctf_mono_ms();
			g->empty_ns = wall_ns();
		}
		look(g);
	}
}

/* ---- after the daemon ------------------------------------------------------------ */

/* The end of a flow, as far as can be seen from its header. */
static bool
is_end(const struct guard *g, const struct nlmsghdr *h, ssize_t len)
{
	return g->job->mask == CTF_DESTROY ||
	       (len >= (ssize_t)sizeof(*h) &&
		h->nlmsg_type == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE));
}

/* What is queued will never be read: counted, and gone. */
static uint64_t
drain(struct guard *g)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog prog = { .len = 1, .filter = &none };
	struct nlmsghdr h = { 0 };
	uint64_t n = 0;

	/* leaving the groups would take CAP_NET_ADMIN; what a filter refuses counts as heard */
	(void)setsockopt(g->job->fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
	for (;;) {
		ssize_t len = recv(g->job->fd, &h, sizeof(h), MSG_DONTWAIT | MSG_TRUNC);

		if (len < 0 && errno != EINTR && errno != ENOBUFS)
			return n;
		n += len >= 0 && is_end(g, &h, len);
	}
}

static void
look_at_others(struct guard *g)
{
	if (g->look_ms - g->others_ms < OTHERS_MS || !atomic_load(&g->note->exact))
		return;
	g->others_ms = g->look_ms;
	atomic_store(&g->note->exact, may_be_exact(g));
}

/* Only when the kernel keeps nothing any more: this may block. */
static void
tell(struct guard *g, uint64_t drained)
{
	struct nfct_note *n = g->note;

	if (atomic_load(&n->let_go) == NFCT_KEPT)
		return;
	atomic_store(&n->lost, drained + (uint32_t)(g->mem.drops - atomic_load(&n->base)));
	atomic_store(&n->to_ns, wall_ns());
	nfct_note_keep(n, g->kept);
}

/* What waits in the socket is lost as well, and came after this. */
static void
die(struct guard *g)
{
	uint64_t from = atomic_load(&g->note->empty_ns);
	uint32_t claimed = NFCT_CLAIMED;

	look(g);
	(void)atomic_compare_exchange_strong(&g->note->let_go, &claimed, NFCT_KEPT);
	if (from < g->empty_ns)
		from = g->empty_ns;
	if (g->stalled && from > g->stalled_ns)
		from = g->stalled_ns;
	let_go(g, from);
	if (atomic_load(&g->note->from_ns) > from)
		atomic_store(&g->note->from_ns, from);
}

/*
 * The queue is left as it is, so that a successor that has this very socket
 * can read it.  Until there is one the drop counter goes on.
 */
static void
mourn(struct guard *g)
{
	struct nfct_note *n = g->note, *kept = g->kept;
	uint64_t since = ctf_mono_ms(), drained = 0;
	uint32_t wish;

	if (atomic_load(&n->stage) != NFCT_HANDED_OVER)
		die(g);
	while ((wish = atomic_load(&kept->leave)) == NFCT_STAY) {
		bool late = ctf_mono_ms() - since >= NFCT_GUARD_LINGER;

		look(g);
		if (is_kept(g)) {
			if (late || is_filled(g)) {
				die(g);
				since = ctf_mono_ms();
			}
		} else if (late) {
			break;
		}
		look_at_others(g);
		tell(g, 0);
		nfct_word_wait(&kept->leave, NFCT_STAY, MOURN_MS);
	}
	if (wish == NFCT_LEAVE || (wish == NFCT_STAY && !atomic_load(&n->stored))) {
		if (is_kept(g)) /* handed over, and yet nobody has the socket */
			die(g);
		drained = drain(g);
	}
	look(g);
	tell(g, drained);
	nfct_word_set(&kept->gone, 1);
}

/* ---- becoming a guard -------------------------------------------------------------- */

static void
close_range_of(unsigned first, unsigned last)
{
	struct rlimit lim = { FDS_MAX, FDS_MAX };

	if (first > last)
		return;
#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, last, 0) == 0)
		return;
#endif
	(void)getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur > FDS_MAX)
		lim.rlim_cur = FDS_MAX;
	for (unsigned fd = first; fd <= last && fd < lim.rlim_cur; fd++)
		close((int)fd);
}

/* The log, outputs, pipes somebody waits for the end of: not ours. */
static void
close_others(const struct nfct_guard_job *j)
{
	const int keep[] = { j->fd, j->link, j->count, j->max, j->diag };
	unsigned next = 3;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			close(fd);
	for (;;) {
		unsigned low = UINT32_MAX;

		for (size_t i = 0; i < sizeof(keep) / sizeof(*keep); i++)
			if (keep[i] >= (int)next && (unsigned)keep[i] < low)
				low = (unsigned)keep[i];
		close_range_of(next, low == UINT32_MAX ? low : low - 1);
		if (low == UINT32_MAX)
			return;
		next = low + 1;
	}
}

/* The n-th field of /proc/self/stat; `text` is where the second, a name, ends. */
static unsigned long
stat_field(const char *text, unsigned n)
{
	unsigned long value = 0;

	for (unsigned i = 2; i < n && *text; text++)
		i += *text == ' ';
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (unsigned long)(*text - '0');
	return value;
}

/*
 * ps and pidof are to tell the two apart.  The arguments are where the kernel
 * put them, and this copy of them is ours.
 */
static void
set_title(const char *title)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *after;
	size_t size, len = strlen(title);

	(void)prctl(PR_SET_NAME, title, 0, 0, 0); /* pkill ctflowd is not meant for us */
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	text[n] = '\0';
	after = strrchr(text, ')');
	if (!after)
		return;
	size = stat_field(after, 49) - stat_field(after, 48);
	if (size > len && size < 1u << 20) {
		char *arg = (char *)(uintptr_t)stat_field(after, 48); /* NOLINT */

		memset(arg, 0, size);
		memcpy(arg, title, len);
	}
}

/* The C library would have all threads follow; there are none here. */
static void
drop_privileges(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { { 0 } };

	if (geteuid() == 0) {
		(void)syscall(SYS_setgroups, 0, NULL);
		(void)syscall(SYS_setresgid, NOBODY, NOBODY, NOBODY);
		(void)syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY);
	}
	(void)syscall(SYS_capset, &head, none);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

_Noreturn void
nfct_guard_run(const struct nfct_guard_job *job)
{
	struct guard g = { .job = job, .note = job->note, .kept = job->kept };
	sigset_t all;

	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setsid(); /* a kill of the daemon's process group is not meant for us */
	set_title("ctflow-guard");
	close_others(job);
	drop_privileges();
	g.awake_ms = g.look_ms = ctf_mono_ms();
	g.look_ns = g.empty_ns = wall_ns();
	(void)nfct_events_mem(job->fd, &g.mem);
	look(&g);
	watch(&g);
	if (atomic_load(&job->note->stage) != NFCT_ENDED)
		mourn(&g);
	_exit(0);
}
