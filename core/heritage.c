/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the process before left in memory, read as input from outside. */
#include <errno.h>
#include <stdlib.h>

#include "frame_io.h"
#include "handover.h"

struct parse {
	struct handover *h;
	struct ctf_err *err;
	struct old_object **end; /* where the next object goes */
	struct old_object *now;
	uint64_t blocks;
	size_t at;
	bool complete;
};

static uint64_t
little(const uint8_t *p, unsigned n)
{
	uint64_t x = 0;

	while (n--)
		x = x << 8 | p[n];
	return x;
}

static bool
is_named(const struct block *b, const char *name)
{
	return b->type == BLOCK_BYTES && b->name_len == strlen(name) &&
	       memcmp(b->name, name, b->name_len) == 0;
}

static int
bad(struct parse *p, const char *what)
{
	return ctf_fail(p->err, EBADMSG, "byte %zu: %s", p->at, what);
}

/* ---- blocks ---- */

static int
on_head(struct parse *p, const struct block *b)
{
	char boot[BOOT_ID_LEN + 1];

	if (!is_named(b, LEGACY_HEAD) || b->len < 4 + BOOT_ID_LEN)
		return bad(p, "not what a ctflowd leaves");
	if (little(b->p, 4) != LEGACY_VERSION)
		return ctf_fail(p->err, EPROTONOSUPPORT, "version %u, of which we know nothing",
				(unsigned)little(b->p, 4));
	handover_boot_id(boot);
	return memcmp(b->p + 4, boot, BOOT_ID_LEN) ? bad(p, "of another boot") : 0;
}

/* A terminated text at *at, which moves behind it. */
static const char *
text_at(const struct block *b, size_t *at)
{
	const uint8_t *s = b->p + *at, *end = memchr(s, '\0', b->len - *at);

	if (!end)
		return NULL;
	*at += (size_t)(end - s) + 1;
	return (const char *)s;
}

static int
on_object(struct parse *p, const struct block *b)
{
	size_t at = 1;
	const char *id, *plugin;
	struct old_object *o;

	if (b->len < 1 || (b->p[0] != 'i' && b->p[0] != 'o'))
		return bad(p, "an object of no kind");
	id = text_at(b, &at);
	plugin = id ? text_at(b, &at) : NULL;
	if (!plugin)
		return bad(p, "an object without a name");
	o = calloc(1, sizeof(*o));
	if (!o)
		return ctf_fail(p->err, ENOMEM, "out of memory");
	*p->end = o;
	p->end = &o->next;
	p->now = o;
	o->is_sink = b->p[0] == 'o';
	o->id = strdup(id);
	o->plugin = strdup(plugin);
	o->begin = o->end = p->at;
	return o->id && o->plugin ? 0 : ctf_fail(p->err, ENOMEM, "out of memory");
}

static int
on_blob(struct parse *p, const struct block *b)
{
	struct old_blob *blob;
	size_t copied;
	char *name;

	if (!p->now)
		return bad(p, "something that belongs to nobody");
	if (is_named(b, LEGACY_SPOOL)) {
		if (b->len < 16)
			return bad(p, "a spool without a number");
		p->now->spool = little(b->p, 8);
		p->now->last_number = little(b->p + 8, 8);
		return 0;
	}
	if (b->name_len < 1 || b->name[0] != LEGACY_BLOB)
		return 0; /* a later version's */
	/* what inputs leave may be large: it stays where it is until they have it */
	copied = p->now->is_sink ? b->len : 0;
	blob = malloc(sizeof(*blob) + copied + b->name_len);
	if (!blob)
		return ctf_fail(p->err, ENOMEM, "out of memory");
	if (copied)
		memcpy(blob->own, b->p, copied);
	name = (char *)blob->own + copied;
	memcpy(name, b->name + 1, b->name_len - 1);
	name[b->name_len - 1] = '\0';
	blob->name = name;
	blob->p = p->now->is_sink ? blob->own : b->p;
	blob->len = b->len;
	blob->next = p->now->blobs;
	p->now->blobs = blob;
	return 0;
}

static int
on_layout(struct parse *p, const struct block *b)
{
	struct old_layout *l;

	if (heritage_layout(p->h, b->layout))
		return bad(p, "a layout for the second time");
	l = malloc(sizeof(*l) + b->len);
	if (!l)
		return ctf_fail(p->err, ENOMEM, "out of memory");
	memcpy(l->p, b->p, b->len);
	l->layout = (struct ctf_layout){ b->layout, b->len, l->p };
	l->next = p->h->layouts;
	p->h->layouts = l;
	return 0;
}

/* Frames are only looked at here, and taken by their sink later. */
static int
on_frame(struct parse *p, const struct block *b)
{
	struct old_object *o = p->now;

	if (!o || !o->is_sink)
		return bad(p, "a frame that belongs to no output");
	if (!heritage_layout(p->h, b->layout))
		return bad(p, "a frame without a layout");
	if (b->number <= o->seen_number || b->number > o->last_number)
		return bad(p, "a frame whose number is none of its spool");
	o->seen_number = b->number;
	o->frames++;
	o->recs += b->recs;
	return 0;
}

static int
on_block(struct parse *p, const struct block *b)
{
	switch (b->type) {
	case BLOCK_LAYOUT:
		return on_layout(p, b);
	case BLOCK_FRAME:
		return on_frame(p, b);
	case BLOCK_BYTES:
		if (is_named(b, LEGACY_OBJECT))
			return on_object(p, b);
		if (!is_named(b, LEGACY_END))
			return on_blob(p, b);
		p->complete = b->len >= 8 && little(b->p, 8) == p->blocks;
		return p->complete ? 0 : bad(p, "blocks are missing");
	}
	return 0;
}

int
heritage_parse(struct handover *h, const uint8_t *bytes, size_t n, struct ctf_err *err)
{
	struct parse p = { .h = h, .err = err, .end = &h->objects };
	struct block b;
	int64_t len;
	int ret = 0;

	while (!ret && !p.complete && (len = block_read(bytes + p.at, n - p.at, &b))) {
		if (len < 0)
			ret = bad(&p, len == -ENODATA ? "cut short" : "damaged");
		else
			ret = p.blocks ? on_block(&p, &b) : on_head(&p, &b);
		if (ret)
			break;
		p.blocks++;
		p.at += (size_t)len;
		if (p.now)
			p.now->end = p.at;
	}
	if (!ret && !p.complete)
		ret = bad(&p, "cut short");
	if (ret)
		heritage_free(h);
	return ret;
}

/* ---- what there is ---- */

struct old_object *
heritage_find(struct handover *h, const struct inst *inst, bool is_sink)
{
	struct old_object *o = h->objects;

	while (o && (o->is_sink != is_sink || strcmp(o->id, inst->id) != 0 ||
		     strcmp(o->plugin, inst->plugin->name) != 0))
		o = o->next;
	return o;
}

const struct ctf_layout *
heritage_layout(const struct handover *h, uint64_t id)
{
	const struct old_layout *l = h->layouts;

	while (l && l->layout.id != id)
		l = l->next;
	return l ? &l->layout : NULL;
}

void
heritage_drop_blobs(struct old_object *o)
{
	while (o->blobs) {
		struct old_blob *b = o->blobs;

		o->blobs = b->next;
		free(b);
	}
}

static void
object_free(struct old_object *o)
{
	heritage_drop_blobs(o);
	free(o->id);
	free(o->plugin);
	free(o);
}

void
heritage_free(struct handover *h)
{
	while (h->objects) {
		struct old_object *o = h->objects;

		h->objects = o->next;
		object_free(o);
	}
	while (h->layouts) {
		struct old_layout *l = h->layouts;

		h->layouts = l->next;
		free(l);
	}
	while (h->texts) {
		struct old_text *t = h->texts;

		h->texts = t->next;
		free(t);
	}
}
