/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: its thread reads the sources, so that no file system makes flows
 * wait, and leaves each new table for the main thread to take.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "names.h"

#define JOIN_MS 1000u
#define PENDING_MS 250u /* to look again at what has changed */
#define SHARE 20u       /* of the time at most is spent reading: 1/20 */

struct names_watch {
	struct ctf_ctx *ctx;
	struct names_conf conf;
	struct names_source *sources;
	unsigned n;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool stop;
	atomic_bool ready; /* all was read once */
	bool ended;        /* the thread, and it was joined */

	_Atomic(struct names_set *) fresh; /* for the main thread to take */
	_Atomic(struct names_set *) spent; /* for the other one to free */
	struct names_set *now;             /* the main thread's */
	struct names_set *last;            /* the thread's: what it made last */
	uint64_t made_ns;                  /* when */
	bool said_refused;
	ctf_counter *names, *refused, *rereads;
};

/* ---- lists of paths -------------------------------------------------------------- */

struct names_word
names_path(const char **list)
{
	struct names_word w;

	*list += strspn(*list, ", \t");
	w = (struct names_word){ *list, strcspn(*list, ",") };
	*list += w.len;
	while (w.len && (w.p[w.len - 1] == ' ' || w.p[w.len - 1] == '\t'))
		w.len--;
	return w;
}

static int
add_source(struct names_watch *w, enum names_kind kind, struct names_word path)
{
	struct names_source *more = reallocarray(w->sources, w->n + 1, sizeof(*more)), *s;
	uint64_t quiet = w->conf.reread < 1000 ? w->conf.reread : 1000;

	if (!more)
		return -ENOMEM;
	w->sources = more;
	s = &more[w->n];
	*s = (struct names_source){ .kind = kind, .most = (uint32_t)w->conf.most };
	s->quiet_ns = quiet * 1000000;
	s->path = strndup(path.p, path.len);
	if (!s->path)
		return -ENOMEM;
	w->n++;
	return 0;
}

/* In the order in which they count. */
static int
add_sources(struct names_watch *w)
{
	int r = 0;

	for (unsigned k = 0; k < NAMES_KINDS; k++) {
		const char *list = w->conf.list[k];
		struct names_word path;

		while (!r && (path = names_path(&list)).len)
			r = add_source(w, k, path);
	}
	return r;
}

/* ---- the thread -------------------------------------------------------------------- */

static void
table_free(struct names_set *t)
{
	if (t)
		names_set_free(t);
	free(t);
}

static void
publish(struct names_watch *w, struct names_set *t)
{
	struct names_set *old = atomic_exchange(&w->fresh, t);

	table_free(old); /* nobody took it */
	w->last = t;
	ctf_gauge_set(w->names, t->named);
	ctf_gauge_set(w->refused, t->refused);
	if (t->refused && !w->said_refused)
		ctf_log(w->ctx, CTF_WARNING,
			"more than %llu names (max_names): %llu of them are not known",
			(unsigned long long)w->conf.most, (unsigned long long)t->refused);
	w->said_refused = t->refused;
}

/* What was written after the table before is as old as the file. */
static void
set_times(const struct names_watch *w, uint64_t mtime_ns, struct names_times *t)
{
	t->now_ns = ctf_now();
	t->changed_ns = t->now_ns;
	if (mtime_ns > w->made_ns && mtime_ns < t->now_ns)
		t->changed_ns = mtime_ns;
	t->remember_ns = w->conf.remember * 1000000;
}

static void
make_table(struct names_watch *w, uint64_t mtime_ns)
{
	const struct names_set **sets = calloc(w->n, sizeof(struct names_set *));
	struct names_set *t = calloc(1, sizeof(*t));
	struct names_times times;
	int r = -ENOMEM;

	set_times(w, mtime_ns, &times);
	if (sets && t) {
		names_set_init(t, (uint32_t)w->conf.most);
		for (unsigned i = 0; i < w->n; i++)
			sets[i] = &w->sources[i].set;
		r = names_merge(t, sets, w->n, w->last, &times);
	}
	free(sets);
	if (!r) {
		publish(w, t);
		w->made_ns = times.now_ns;
		return;
	}
	table_free(t);
	ctf_log(w->ctx, CTF_ERROR, "no memory for new names; the old ones are kept");
}

static bool
is_stopped(struct names_watch *w)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

/* Returns in how many ms to look again. */
static uint64_t
look(struct names_watch *w, bool first)
{
	uint64_t begin = ctf_mono_ms(), mtime = 0, next = w->conf.reread, least;
	bool changed = false;

	for (unsigned i = 0; i < w->n && !is_stopped(w); i++) {
		struct names_source *s = &w->sources[i];

		if (names_source_look(s, w->ctx, first)) {
			changed = true;
			if (mtime < s->mtime_ns)
				mtime = s->mtime_ns;
		}
		if (s->since_ms && next > PENDING_MS)
			next = PENDING_MS;
	}
	table_free(atomic_exchange(&w->spent, NULL));
	if (is_stopped(w))
		return next;
	if (changed || first)
		make_table(w, mtime);
	if (changed && !first)
		ctf_count(w->rereads, 1);
	least = (ctf_mono_ms() - begin) * SHARE;
	return next > least ? next : least;
}

static void
deadline(struct timespec *t, uint64_t ms)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_sec += (time_t)(ms / 1000);
	t->tv_nsec += (long)(ms % 1000 * 1000000);
	t->tv_sec += t->tv_nsec / 1000000000;
	t->tv_nsec %= 1000000000;
}

static void *
run(void *arg)
{
	struct names_watch *w = arg;
	uint64_t next = look(w, true);
	struct timespec until;

	atomic_store(&w->ready, true);
	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		deadline(&until, next);
		while (!w->stop && pthread_cond_timedwait(&w->cond, &w->lock, &until) == 0)
			;
		if (w->stop)
			break;
		pthread_mutex_unlock(&w->lock);
		next = look(w, false);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* ---- the main thread ------------------------------------------------------------------ */

static void
watch_free(struct names_watch *w)
{
	for (unsigned i = 0; i < w->n; i++)
		names_source_free(&w->sources[i]);
	free(w->sources);
	table_free(atomic_load(&w->fresh));
	table_free(atomic_load(&w->spent));
	table_free(w->now);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void
init_locks(struct names_watch *w)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->cond, &attr);
	pthread_condattr_destroy(&attr);
}

int
names_watch_start(struct ctf_ctx *ctx, const struct names_conf *conf,
		  struct names_watch **ret_watch)
{
	struct names_watch *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->ctx = ctx;
	w->conf = *conf;
	init_locks(w);
	r = add_sources(w);
	w->names = ctf_metric_new(ctx, "names", CTF_GAUGE, CTF_UNIT_NONE, "names known");
	w->refused = ctf_metric_new(ctx, "names_refused", CTF_GAUGE, CTF_UNIT_NONE,
				    "names above max_names");
	w->rereads = ctf_metric_new(ctx, "rereads", CTF_COUNTER, CTF_UNIT_NONE,
				    "times that changed files were read");
	if (!r)
		r = -pthread_create(&w->thread, NULL, run, w);
	if (r) {
		watch_free(w);
		return r;
	}
	*ret_watch = w;
	return 0;
}

bool
names_watch_ready(struct names_watch *w)
{
	return atomic_load(&w->ready);
}

/* True: it was told before. */
static bool
tell_to_stop(struct names_watch *w)
{
	bool told;

	pthread_mutex_lock(&w->lock);
	told = w->stop;
	w->stop = true;
	pthread_cond_broadcast(&w->cond);
	pthread_mutex_unlock(&w->lock);
	return told;
}

bool
names_watch_ends(struct names_watch *w)
{
	tell_to_stop(w);
	w->ended = w->ended || pthread_tryjoin_np(w->thread, NULL) == 0;
	return w->ended;
}

void
names_watch_stop(struct names_watch *w)
{
	struct timespec until;

	if (!w)
		return;
	deadline(&until, tell_to_stop(w) ? 0 : JOIN_MS);
	if (w->ended || pthread_clockjoin_np(w->thread, NULL, CLOCK_MONOTONIC, &until) == 0)
		watch_free(w);
	else /* a file system hangs: the thread keeps what it has */
		ctf_pin(w->ctx);
}

const struct names_set *
names_watch_table(struct names_watch *w)
{
	if (atomic_load_explicit(&w->fresh, memory_order_relaxed)) {
		struct names_set *old = w->now;

		w->now = atomic_exchange(&w->fresh, NULL);
		table_free(atomic_exchange(&w->spent, old));
	}
	return w->now;
}
