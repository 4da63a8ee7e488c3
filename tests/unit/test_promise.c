/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random feeds against an output that fails in every way it may: what was fed
 * is delivered or in a gap, nothing is delivered twice unless a session broke,
 * and the order is kept.  CTF_SEED=<n> plays one sequence again.
 */
#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "rig.h"
#include "unit.h"

#define IDS 65536u
#define STEPS 40
#define SEEDS 6
#define NUMBERS 65536u

struct play {
	uint64_t rng;        /* the main thread's */
	uint64_t fate;       /* the output's */
	bool settles, quiet; /* no more faults */
	bool stuck;          /* takes nothing any more */
	bool at_most;        /* some gap was not exact */
	uint8_t seen[IDS + 1];
	uint64_t gap[NUMBERS]; /* count of the gap frame with that number */
	uint64_t distinct, last_number, last_id, input_lost;
	uint64_t taken; /* in this session: up to that number */
	uint64_t begun; /* the frame that was given, but not taken; 0: none */
};

static uint64_t
draw(uint64_t *s, uint64_t n)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s % n;
}

/* ---- the output's side, under the lock of the box ---- */

static void
see_record(struct play *p, uint64_t id)
{
	ck_assert_uint_ge(id, 1);
	ck_assert_uint_le(id, IDS);
	ck_assert_msg(id > p->last_id, "%" PRIu64 " after %" PRIu64, id, p->last_id);
	p->last_id = id;
	p->distinct += p->seen[id] == 0;
	if (!p->settles)
		ck_assert_msg(!p->seen[id], "%" PRIu64 " came twice", id);
	p->seen[id] = 1;
}

static void
take_frame(struct box *b, const struct ctf_frame *f)
{
	struct play *p = b->arg;
	uint64_t id;
	struct ctf_gap g;

	ck_assert_msg(f->number > p->last_number, "frame %" PRIu64 " after %" PRIu64, f->number,
		      p->last_number);
	/* What is settled and not needed any more never comes again. */
	ck_assert_uint_gt(f->number + b->window, b->settled);
	ck_assert_uint_lt(f->number, NUMBERS);
	p->last_number = p->taken = f->number;
	if (f->recs == 0) {
		memcpy(&g, f->p + 8, GAP_BYTES);
		ck_assert_uint_le(g.from_ns, g.to_ns);
		ck_assert_int_ne(g.count_is, CTF_UNCOUNTED);
		p->at_most |= g.count_is == CTF_AT_MOST;
		p->gap[f->number] = g.count;
		return;
	}
	ck_assert_uint_eq(f->len, f->recs * 8);
	for (uint32_t at = 0; at < f->len; at += 8) {
		memcpy(&id, f->p + at, 8);
		see_record(p, id);
	}
}

static enum ctf_sent
faulty(struct box *b, const struct ctf_frame *const *f, unsigned n, unsigned *ret_taken)
{
	struct play *p = b->arg;
	uint64_t what = p->quiet ? 0 : draw(&p->fate, 100);
	unsigned take = p->quiet ? n : (unsigned)draw(&p->fate, n + 1);

	*ret_taken = 0;
	if (p->stuck)
		return CTF_AGAIN;
	if (p->begun) /* half of it may have been sent: it must come next */
		ck_assert_uint_eq(f[0]->number, p->begun);
	p->begun = take < n ? f[take]->number : 0;
	if (what >= 95)
		usleep(3000);
	for (unsigned i = 0; i < take; i++)
		take_frame(b, f[i]);
	*ret_taken = take;
	if (p->quiet)
		b->settled = p->taken;
	else if (p->taken > b->settled)
		b->settled += draw(&p->fate, p->taken - b->settled + 1);
	if (what < 45)
		return CTF_SENT;
	if (what < 60)
		return CTF_AGAIN;
	if (what < 72)
		return CTF_RETRY;
	/* A gap frame that nobody can take is only logged: no promise then. */
	if (what >= 82 || take == n || !f[take]->recs)
		return CTF_SENT;
	p->begun = 0;
	return CTF_POISON;
}

/* As with TCP, it is known only now what had arrived; the rest comes again. */
static void
faulty_close(struct box *b)
{
	struct play *p = b->arg;

	if (p->taken > b->settled)
		b->settled += draw(&p->fate, p->taken - b->settled + 1);
	p->begun = 0;
	if (p->settles)
		p->last_number = p->last_id = 0;
}

static int
faulty_open(struct box *b)
{
	struct play *p = b->arg;

	p->taken = b->settled;
	return !p->quiet && draw(&p->fate, 4) == 0 ? ECONNREFUSED : 0;
}

/* ---- the test's side ---- */

static void
turn(struct rig *g, struct play *p)
{
	for (uint64_t i = draw(&p->rng, 4); i; i--)
		loop_once(g->run.loop, (int)draw(&p->rng, 4));
}

static void
report_input_gap(struct rig *g, struct play *p)
{
	uint64_t n = 1 + draw(&p->rng, 50);
	struct ctf_gap gap = { 1000, 1000 + n, n, CTF_EXACT, "overrun", "a", -1 };

	p->input_lost += n;
	ctf_report_gap(&g->s.graph.inputs->ctx, &gap);
	run_kick(&g->s.graph);
}

static void
play_steps(struct rig *g, struct play *p)
{
	for (int i = 0; i < STEPS; i++) {
		unsigned more = (unsigned)draw(&p->rng, 1 << draw(&p->rng, 12));

		g->box.backlog = draw(&p->rng, 3) ? 90 : 10;
		g->box.feed += g->box.feed + more <= IDS ? more : 0;
		eventfd_write(g->box.event_fd, 1);
		turn(g, p);
		if (draw(&p->rng, 8) == 0)
			report_input_gap(g, p);
		if (draw(&p->rng, 16) == 0)
			run_reopen(&g->run);
	}
	g->box.backlog = 90;
	while (g->box.fed < g->box.feed)
		loop_once(g->run.loop, 10);
}

static void
start(struct rig *g, struct play *p, uint64_t seed)
{
	char text[256];

	memset(p, 0, sizeof(*p));
	p->rng = seed * UINT64_C(0x9E3779B97F4A7C15) | 1;
	p->fate = p->rng ^ UINT64_C(0xD1B54A32D192ED03);
	draw(&p->fate, 2);
	p->settles = draw(&p->rng, 2);
	box_init(&g->box);
	g->box.arg = p;
	g->box.deliver = faulty;
	g->box.open = faulty_open;
	g->box.close = faulty_close;
	g->box.window = draw(&p->rng, 2) ? draw(&p->rng, 100) : 0;
	snprintf(text, sizeof(text),
		 "[global]\nstack=a:LIVE,k:%s\n[a]\n%%B\n[k]\n%%B\nreconnect=10ms\nqueue=64K\n"
		 "frame=%u\nsync=%u\n",
		 p->settles ? "SETTLE" : "KEEP", 64u << draw(&p->rng, 4),
		 (unsigned)draw(&p->rng, 2));
	rig_start(g, text, 0);
}

static bool
no_hurry(void *arg)
{
	return false;
}

static void
finish(struct rig *g)
{
	setup_free(&g->s);
	loop_free(g->run.loop);
	box_free(&g->box);
}

static uint64_t
gaps_sum(const struct play *p)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < NUMBERS; i++)
		sum += p->gap[i];
	return sum;
}

static void
check_all_told(struct rig *g, struct play *p)
{
	const struct sink *s = g->s.graph.sinks;
	uint64_t due = g->box.fed + p->input_lost, told = p->distinct + gaps_sum(p);

	if (p->at_most)
		ck_assert_uint_ge(told, due);
	else
		ck_assert_uint_eq(told, due);
	if (!p->settles) {
		ck_assert(!p->at_most);
		ck_assert_uint_eq(atomic_load(s->delivered), p->distinct);
	}
}

/* Whatever was sent again, a flow counts once; the end's left-overs as dropped. */
static void
check_counted_once(struct rig *g)
{
	const struct sink *s = g->s.graph.sinks;

	ck_assert_uint_eq(atomic_load(s->delivered) + atomic_load(s->dropped) +
				  atomic_load(s->poisoned),
			  g->box.fed);
}

static void
play_seed(uint64_t seed, bool stuck)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct play *p = calloc(1, sizeof(*p));
	bool stopped;

	printf("CTF_SEED=%" PRIu64 "\n", seed);
	fflush(stdout);
	start(g, p, seed);
	play_steps(g, p);
	pthread_mutex_lock(&g->box.lock);
	p->quiet = true;
	p->stuck = stuck;
	pthread_mutex_unlock(&g->box.lock);
	stopped = run_stop(&g->run, stuck ? 50 : 5000, no_hurry, NULL);
	ck_assert(stopped);
	if (!stuck)
		check_all_told(g, p);
	check_counted_once(g);
	finish(g);
	free(p);
	free(g);
}

static uint64_t
first_seed(void)
{
	const char *given = getenv("CTF_SEED");

	return given ? strtoull(given, NULL, 10) : ctf_now() / 1000 % 1000000000;
}

START_TEST(fed_is_delivered_or_in_a_gap)
{
	uint64_t seed = first_seed();

	for (int i = 0; i < (getenv("CTF_SEED") ? 1 : SEEDS); i++)
		play_seed(seed + (uint64_t)i, false);
}
END_TEST

START_TEST(an_output_that_never_moves_again)
{
	uint64_t seed = first_seed();

	for (int i = 0; i < (getenv("CTF_SEED") ? 1 : 2); i++)
		play_seed(seed + (uint64_t)i, true);
}
END_TEST

static void
add_tests(TCase *t)
{
	log_set_level(CTF_FATAL + 1);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, fed_is_delivered_or_in_a_gap);
	tcase_add_test(t, an_output_that_never_moves_again);
}

int
main(void)
{
	return unit_main("promise", add_tests);
}
