/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clickhouse_note.c - CLICKHOUSE: gaps and coverage, with the meaning they have in an
 * SQLite history (sqlite3_cover.c).
 *
 * The server has no UPDATE: what it has of late is read when a session begins, and
 * what a note changes is written anew, with a higher version.  A stretch that an
 * earlier run left without an end ended at its last sign of life, and what came
 * after that is a gap, unless the daemon itself tells of one.
 */
#include "clickhouse_note.h"

#include <errno.h>
#include <stdlib.h>

/* Another gap may begin so much later than ours: a heartbeat, and its way. */
#define LATE_NS UINT64_C(15000000000)
#define KEPT 1000u

/* ---- lists -------------------------------------------------------------------- */

static bool
same_text(const struct sq_text *a, const struct sq_text *b)
{
	return a->len == b->len && (!a->len || memcmp(a->p, b->p, a->len) == 0);
}

static bool
same_stream(const struct sq_note *a, const struct sq_note *b)
{
	return a->nsid == b->nsid && same_text(&a->instance, &b->instance);
}

#define TEXTS 6
static void
texts_of(struct sq_note *n, struct sq_text *ret_texts[TEXTS])
{
	struct sq_text *t[TEXTS] = { &n->cause,     &n->instance, &n->boot_id,
				     &n->selection, &n->netns,    &n->abilities };

	memcpy(ret_texts, t, sizeof(t));
}

/* The texts of n become our own. */
static int
texts_keep(struct sq_note *n, char **ret_text)
{
	struct sq_text *t[TEXTS];
	size_t len = 1;
	char *p;

	texts_of(n, t);
	for (unsigned i = 0; i < TEXTS; i++)
		len += t[i]->len;
	p = *ret_text = malloc(len);
	if (!p)
		return -ENOMEM;
	for (unsigned i = 0; i < TEXTS; i++) {
		if (t[i]->len)
			memcpy(p, t[i]->p, t[i]->len);
		t[i]->p = p;
		p += t[i]->len;
	}
	return 0;
}

/* The oldest go when there are many: nothing is concluded from them any more. */
static void
prune(struct ch_notes *all)
{
	unsigned n = all->nrows / 2, kept = 0;

	if (all->nrows < KEPT)
		return;
	for (unsigned i = 0; i < all->nrows; i++) {
		struct ch_note *r = &all->row[i];

		if (i < n && !r->dirty && (r->is_gap || r->n.to_ns))
			free(r->text);
		else
			all->row[kept++] = *r;
	}
	all->nrows = kept;
}

int
ch_note_add(struct ch_notes *all, const struct ch_note *note)
{
	struct ch_note *more, copy = *note;
	int r;

	more = realloc(all->row, (all->nrows + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	all->row = more;
	r = texts_keep(&copy.n, &copy.text);
	if (r == 0)
		all->row[all->nrows++] = copy;
	return r;
}

void
ch_notes_free(struct ch_notes *all)
{
	for (unsigned i = 0; i < all->nrows; i++)
		free(all->row[i].text);
	free(all->row);
	*all = (struct ch_notes){ .row = NULL };
}

/* ---- gaps ------------------------------------------------------------------------ */

static bool
is_restart(const struct sq_note *n)
{
	return n->cause.len == 7 && memcmp(n->cause.p, "restart", 7) == 0;
}

/* The daemon's own word replaces what was concluded from coverage. */
static void
conclusion_mend(struct ch_note *g, const struct sq_note *n)
{
	if (!g->concluded || g->gone || !same_stream(&g->n, n) || g->n.from_ns >= n->to_ns ||
	    g->n.to_ns <= n->from_ns || (!is_restart(n) && n->to_ns < g->n.to_ns))
		return;
	if (is_restart(n) || g->n.from_ns + LATE_NS >= n->from_ns)
		g->gone = true;
	else
		g->n.to_ns = n->from_ns;
	g->dirty = true;
}

static bool
is_told(const struct ch_notes *all, const struct sq_note *n)
{
	for (unsigned i = 0; i < all->nrows; i++) {
		const struct ch_note *g = &all->row[i];

		if (g->is_gap && !g->concluded && same_stream(&g->n, n) &&
		    g->n.from_ns == n->from_ns && g->n.to_ns == n->to_ns &&
		    same_text(&g->n.cause, &n->cause))
			return true;
	}
	return false;
}

static int
gap_take(struct ch_notes *all, const struct sq_note *n)
{
	struct ch_note gap = { .is_gap = true, .dirty = true, .n = *n };

	if (is_told(all, n))
		return 0;
	for (unsigned i = 0; i < all->nrows; i++)
		if (all->row[i].is_gap)
			conclusion_mend(&all->row[i], n);
	return ch_note_add(all, &gap);
}

/* ---- coverage ----------------------------------------------------------------------- */

/* What came after it may be on another server. */
static bool
is_parted(const struct ch *s, const struct ch_note *c)
{
	return !c->dirty && c->version < s->part_ns;
}

/*
 * Servers that do not share tables have of a stretch what each was sent.  Those that
 * do have what was noted last, on whichever.
 */
void
ch_notes_part(struct ch *s, unsigned servers)
{
	bool shared = s->noted && s->notes.version >= s->noted && s->noted > s->part_ns;

	if (!s->wrote && servers > 1 && !*CH_CONF(s)->cluster)
		s->part_ns = s->since_ns; /* who knows what the run before sent to which */
	else if (s->wrote && s->wrote != s->server + 1 && !shared)
		s->part_ns = ctf_now();
	if (s->notes.version < s->part_ns)
		s->notes.version = s->part_ns;
}

/* Of this run: the last one that goes on. */
static struct ch_note *
running(struct ch *s, const struct sq_note *n)
{
	struct ch_notes *all = &s->notes;
	struct ch_note *found = NULL;

	for (unsigned i = 0; i < all->nrows; i++) {
		struct ch_note *c = &all->row[i];

		if (!c->is_gap && same_stream(&c->n, n) && !c->n.to_ns && !is_parted(s, c) &&
		    c->n.from_ns >= n->from_ns && (!found || c->n.from_ns > found->n.from_ns))
			found = c;
	}
	return found;
}

static bool
agrees(int8_t was, int8_t is)
{
	return was == is || was < 0;
}

/* What was not known is learned, which changes nothing. */
static bool
is_same(const struct sq_note *c, const struct sq_note *n)
{
	return same_text(&c->boot_id, &n->boot_id) && c->event_mask == n->event_mask &&
	       c->reliable == n->reliable && same_text(&c->selection, &n->selection) &&
	       same_text(&c->netns, &n->netns) &&
	       (!c->abilities.len || same_text(&c->abilities, &n->abilities)) &&
	       agrees(c->acct, n->acct) && agrees(c->timestamp, n->timestamp) &&
	       agrees(c->events, n->events) &&
	       agrees(c->clock_synchronised, n->clock_synchronised) &&
	       agrees(c->offload, n->offload) && agrees(c->gro, n->gro);
}

static int
freshen(struct ch_note *c, const struct sq_note *n)
{
	uint64_t from = c->n.from_ns;
	struct ch_note next = { .n = *n, .dirty = true };
	int r = texts_keep(&next.n, &next.text);

	if (r < 0)
		return r;
	next.n.from_ns = from;
	free(c->text);
	*c = next;
	return 0;
}

/* Some other loss that lasted until now, as the guard may tell; 0: there is none. */
static uint64_t
known_loss(const struct ch_notes *all, const struct sq_note *c, const struct sq_note *n,
	   bool *ret_told)
{
	uint64_t from = 0;

	*ret_told = false;
	for (unsigned i = 0; i < all->nrows; i++) {
		const struct ch_note *g = &all->row[i];

		if (!g->is_gap || g->gone || !same_stream(&g->n, n) ||
		    g->n.from_ns >= n->from_ns || g->n.to_ns <= c->alive_ns)
			continue;
		*ret_told |= is_restart(&g->n);
		if (g->n.to_ns >= n->from_ns && (!from || g->n.from_ns < from))
			from = g->n.from_ns;
	}
	return from;
}

/* The gap between a stretch that the run before left and this run. */
static int
conclude(struct ch *s, const struct sq_note *c, const struct sq_note *n)
{
	static const struct sq_text restart = { "restart", 7 };
	bool told;
	uint64_t loss = known_loss(&s->notes, c, n, &told);
	struct ch_note gap = { .is_gap = true, .concluded = true, .dirty = true };

	if (c->alive_ns >= n->from_ns || c->alive_ns >= s->since_ns || told ||
	    (loss && loss <= c->alive_ns + LATE_NS))
		return 0;
	gap.n = (struct sq_note){ .from_ns = c->alive_ns,
				  .to_ns = loss ? loss : n->from_ns,
				  .count_is = CTF_UNCOUNTED,
				  .nsid = n->nsid,
				  .instance = n->instance,
				  .cause = restart };
	return ch_note_add(&s->notes, &gap);
}

static bool
is_over(const struct ch_notes *all, const struct sq_note *n)
{
	for (unsigned i = 0; i < all->nrows; i++)
		if (!all->row[i].is_gap && same_stream(&all->row[i].n, n) && n->to_ns &&
		    all->row[i].n.to_ns == n->to_ns)
			return true;
	return false;
}

/* What is still open of the stream ended with its last sign of life. */
static int
others_end(struct ch *s, const struct sq_note *n)
{
	struct ch_notes *all = &s->notes;
	unsigned before = all->nrows;
	int r = 0;

	for (unsigned i = 0; i < before && i < all->nrows && r == 0; i++) {
		struct sq_note c = all->row[i].n;
		bool earlier = c.from_ns < n->from_ns;

		if (all->row[i].is_gap || c.to_ns || !same_stream(&c, n) ||
		    !(earlier || is_parted(s, &all->row[i])))
			continue;
		all->row[i].n.to_ns = c.alive_ns;
		all->row[i].dirty = true;
		r = earlier ? conclude(s, &c, n) : 0;
	}
	return r;
}

/* The first word of this run, or of a stretch, or on this server. */
static int
cover_begin(struct ch *s, const struct sq_note *n)
{
	struct ch_note new = { .n = *n, .dirty = true };
	int r = others_end(s, n);

	if (n->from_ns < s->part_ns) /* what came before may be elsewhere */
		new.n.from_ns = n->alive_ns;
	return r < 0 || is_over(&s->notes, n) ? r : ch_note_add(&s->notes, &new);
}

static int
cover_take(struct ch *s, const struct sq_note *n)
{
	struct ch_note *c = running(s, n), next = { .n = *n, .dirty = true };

	if (!c)
		return cover_begin(s, n);
	if (is_same(&c->n, n))
		return freshen(c, n);
	c->n.to_ns = n->alive_ns;
	c->dirty = true;
	next.n.from_ns = n->alive_ns;
	return n->to_ns ? 0 : ch_note_add(&s->notes, &next);
}

int
ch_notes_take(struct ch *s, const struct sq_row *row)
{
	struct sq_note n;

	if (sq_note_get(row, &n) < 0)
		return -EBADMSG;
	prune(&s->notes);
	return row->kind == SQ_GAP ? gap_take(&s->notes, &n) : cover_take(s, &n);
}
