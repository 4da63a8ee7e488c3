/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "frame_io.h"

#define MAGIC 0x62667463u /* "ctfb" */

#define LAYOUT_HEAD 8u
#define FRAME_HEAD 56u
#define GAP_HEAD 36u /* behind FRAME_HEAD, if FLAG_GAP; then the two texts */
#define BYTES_HEAD 2u

enum { FLAG_GAP = 1, FLAG_TAKEN = 2 };

static uint8_t *
put(uint8_t *p, uint64_t x, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, x >>= 8)
		*p++ = (uint8_t)x;
	return p;
}

static uint64_t
get(const uint8_t **p, unsigned bytes)
{
	uint64_t x = 0;

	for (unsigned i = 0; i < bytes; i++)
		x |= (uint64_t) * (*p)++ << 8 * i;
	return x;
}

static uint8_t *
put_bytes(uint8_t *p, const void *from, size_t n)
{
	if (n)
		memcpy(p, from, n);
	return p + n;
}

/* ---- writing ---- */

static size_t
block_size(size_t head, size_t rest)
{
	return rest > BLOCK_MAX - head ? 0 : BLOCK_PREFIX + head + rest;
}

static bool
texts_fit(const struct ctf_gap *g)
{
	return strlen(g->cause) <= BLOCK_TEXT && strlen(g->instance) <= BLOCK_TEXT;
}

static size_t
frame_head(const struct qframe *q)
{
	return q->is_gap
		       ? FRAME_HEAD + GAP_HEAD + strlen(q->gap.cause) + strlen(q->gap.instance)
		       : FRAME_HEAD;
}

size_t
block_frame_size(const struct qframe *q)
{
	return q->is_gap && !texts_fit(&q->gap) ? 0 : block_size(frame_head(q), q->f.len);
}

size_t
block_layout_size(const struct ctf_layout *l)
{
	return block_size(LAYOUT_HEAD, l->len);
}

size_t
block_bytes_size(const char *name, size_t n)
{
	size_t len = strlen(name);

	return len > BLOCK_TEXT ? 0 : block_size(BYTES_HEAD + len, n);
}

/* Where the head goes; the CRC comes when all is there. */
static uint8_t *
begin(uint8_t *to, enum block_type type, size_t head, size_t rest)
{
	to = put(to, MAGIC, 4);
	to = put(to, type, 2);
	to = put(to, head, 2);
	to = put(to, head + rest, 4);
	return put(to, 0, 4);
}

static uint32_t
sum(const uint8_t *block, size_t rest)
{
	return crc32c(crc32c(0, block, 12), block + BLOCK_PREFIX, rest);
}

static void
end(uint8_t *block, const uint8_t *at)
{
	put(block + 12, sum(block, (size_t)(at - block) - BLOCK_PREFIX), 4);
}

static uint8_t *
put_gap(uint8_t *p, const struct ctf_gap *g)
{
	size_t cause = strlen(g->cause), instance = strlen(g->instance);

	p = put(p, g->from_ns, 8);
	p = put(p, g->to_ns, 8);
	p = put(p, g->count, 8);
	p = put(p, g->count_is, 4);
	p = put(p, (uint32_t)g->nsid, 4);
	p = put(p, cause, 2);
	p = put(p, instance, 2);
	p = put_bytes(p, g->cause, cause);
	return put_bytes(p, g->instance, instance);
}

void
block_put_frame(uint8_t *to, const struct qframe *q)
{
	uint8_t *p = begin(to, BLOCK_FRAME, frame_head(q), q->f.len);

	p = put(p, q->f.layout ? q->f.layout->id : 0, 8);
	p = put(p, q->f.number, 8);
	p = put(p, q->f.first_ns, 8);
	p = put(p, q->f.last_ns, 8);
	p = put(p, q->f.upto, 8);
	p = put(p, q->f.recs, 4);
	p = put(p, q->f.stream, 4);
	p = put(p, q->f.flows, 4);
	p = put(p, (q->is_gap ? FLAG_GAP : 0u) | (q->taken ? FLAG_TAKEN : 0u), 4);
	if (q->is_gap)
		p = put_gap(p, &q->gap);
	end(to, put_bytes(p, q->f.p, q->f.len));
}

void
block_put_layout(uint8_t *to, const struct ctf_layout *l)
{
	uint8_t *p = begin(to, BLOCK_LAYOUT, LAYOUT_HEAD, l->len);

	p = put(p, l->id, 8);
	end(to, put_bytes(p, l->p, l->len));
}

void
block_put_bytes(uint8_t *to, const char *name, const void *bytes, size_t n)
{
	size_t len = strlen(name);
	uint8_t *p = begin(to, BLOCK_BYTES, BYTES_HEAD + len, n);

	p = put(p, len, 2);
	p = put_bytes(p, name, len);
	end(to, put_bytes(p, bytes, n));
}

/* ---- reading: any bytes may come ---- */

/* A text of len bytes at *p, if it is there and could be one. */
static bool
get_text(const uint8_t **p, const uint8_t *end_of_head, size_t len, const char **ret_text)
{
	if (len > BLOCK_TEXT || len > (size_t)(end_of_head - *p) || memchr(*p, '\0', len))
		return false;
	*ret_text = (const char *)*p;
	*p += len;
	return true;
}

static bool
read_gap(const uint8_t *p, const uint8_t *end_of_head, struct block *b)
{
	uint64_t count_is;

	if (end_of_head - p < (ptrdiff_t)GAP_HEAD)
		return false;
	b->gap.from_ns = get(&p, 8);
	b->gap.to_ns = get(&p, 8);
	b->gap.count = get(&p, 8);
	count_is = get(&p, 4);
	b->gap.nsid = (int)(uint32_t)get(&p, 4);
	b->cause_len = get(&p, 2);
	b->instance_len = get(&p, 2);
	if (count_is > CTF_UNCOUNTED || !get_text(&p, end_of_head, b->cause_len, &b->cause) ||
	    !get_text(&p, end_of_head, b->instance_len, &b->instance))
		return false;
	b->gap.count_is = (enum ctf_count_is)count_is;
	return true;
}

static bool
read_frame(const uint8_t *p, const uint8_t *end_of_head, struct block *b)
{
	uint64_t flags;

	if (end_of_head - p < (ptrdiff_t)FRAME_HEAD)
		return false;
	b->layout = get(&p, 8);
	b->number = get(&p, 8);
	b->first_ns = get(&p, 8);
	b->last_ns = get(&p, 8);
	b->upto = get(&p, 8);
	b->recs = (uint32_t)get(&p, 4);
	b->stream = (uint32_t)get(&p, 4);
	b->flows = (uint32_t)get(&p, 4);
	flags = get(&p, 4);
	b->is_gap = flags & FLAG_GAP;
	b->taken = flags & FLAG_TAKEN;
	return !b->is_gap || read_gap(p, end_of_head, b);
}

static bool
read_head(const uint8_t *p, const uint8_t *end_of_head, struct block *b)
{
	switch (b->type) {
	case BLOCK_LAYOUT:
		if (end_of_head - p < (ptrdiff_t)LAYOUT_HEAD)
			return false;
		b->layout = get(&p, 8);
		return true;
	case BLOCK_FRAME:
		return read_frame(p, end_of_head, b);
	case BLOCK_BYTES:
		if (end_of_head - p < (ptrdiff_t)BYTES_HEAD)
			return false;
		b->name_len = get(&p, 2);
		return get_text(&p, end_of_head, b->name_len, &b->name);
	}
	return true; /* of a later version */
}

int64_t
block_read(const uint8_t *p, size_t n, struct block *ret_block)
{
	struct block b = { 0 };
	const uint8_t *at = p;
	uint32_t head, len;
	uint64_t crc;

	if (n == 0)
		return 0;
	if (n < BLOCK_PREFIX)
		return -ENODATA;
	if (get(&at, 4) != MAGIC)
		return -EBADMSG;
	b.type = (unsigned)get(&at, 2);
	head = (uint32_t)get(&at, 2);
	len = (uint32_t)get(&at, 4);
	crc = get(&at, 4);
	if (len > BLOCK_MAX || head > len)
		return -EBADMSG;
	if (len > n - BLOCK_PREFIX)
		return -ENODATA;
	if (sum(p, len) != crc || !read_head(at, at + head, &b))
		return -EBADMSG;
	b.p = at + head;
	b.len = len - head;
	*ret_block = b;
	return (int64_t)BLOCK_PREFIX + len;
}

void
block_fill(struct qframe *q, const struct block *b, const struct ctf_layout *layout)
{
	ctf_frame_put(&q->f, b->p, b->len);
	q->f.recs = b->recs;
	q->f.stream = b->stream;
	q->f.upto = b->upto;
	q->f.flows = b->flows;
	q->f.number = b->number;
	q->f.first_ns = b->first_ns;
	q->f.last_ns = b->last_ns;
	q->f.layout = layout;
	q->taken = b->taken;
	q->is_gap = b->is_gap;
	q->gap = b->gap;
}

struct qframe *
block_to_frame(const struct block *b, const struct ctf_layout *layout, struct encoder *enc,
	       const char *cause, const char *instance)
{
	struct qframe *q = qframe_new(enc, b->len);

	if (!q)
		return NULL;
	block_fill(q, b, layout);
	q->gap.cause = cause;
	q->gap.instance = instance;
	return q;
}
