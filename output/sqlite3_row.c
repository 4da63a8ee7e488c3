/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SQLITE3: records as rows of typed cells, and what names them. */
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "sqlite3_row.h"

static const char magic[4] = { 'C', 'T', 'S', 'Q' };
#define ROW_FORMAT 2
#define SEEN 9u /* bytes before the name of the source */

/* Bytes of a value of this type; 0: as its length says. */
static unsigned
size_of(unsigned type, uint8_t family)
{
	switch (type) {
	case CTF_U8:
		return 1;
	case CTF_U16:
		return 2;
	case CTF_U32:
		return 4;
	case CTF_U64:
	case CTF_TIME:
		return 8;
	case CTF_IP:
		return family == AF_INET6 ? 16 : 4;
	default:
		return 0;
	}
}

int
sq_fields_add(struct sq_fields *f, ctf_ref ref, const struct ctf_field *def)
{
	if (f->n >= SQ_FIELDS || strlen(def->name) > UINT8_MAX)
		return -E2BIG;
	f->ref[f->n] = ref;
	f->def[f->n++] = def;
	/* A number is written as eight bytes of which the next takes the rest back. */
	f->room = SQ_HEAD + SEEN + UINT8_MAX + (f->n + 7) / 8 + 16 * f->n + 8;
	return 0;
}

ctf_ref
sq_fields_ref(const struct sq_fields *f, const char *name)
{
	for (unsigned i = 0; i < f->n; i++)
		if (strcmp(f->def[i]->name, name) == 0)
			return f->ref[i];
	return CTF_NONE;
}

bool
sq_layout_put(const struct sq_fields *f, struct ctf_frame *fr)
{
	uint16_t head[2] = { htole16(ROW_FORMAT), htole16((uint16_t)f->n) };
	bool ok = ctf_frame_put(fr, magic, sizeof(magic)) &&
		  ctf_frame_put(fr, head, sizeof(head));

	for (unsigned i = 0; ok && i < f->n; i++) {
		const char *name = f->def[i]->name;
		uint8_t col[3] = { (uint8_t)f->def[i]->type,
				   (f->def[i]->flags & CTF_F_ZERO) != 0,
				   (uint8_t)strlen(name) };

		ok = ctf_frame_put(fr, col, sizeof(col)) && ctf_frame_put(fr, name, col[2]);
	}
	return ok;
}

static uint8_t *
head_write(uint8_t *p, const struct sq_row *row)
{
	uint32_t len = htole32(SQ_HEAD + row->len);
	uint16_t flags = htole16(row->flags);
	uint64_t key = htole64(row->key);

	memcpy(p, &len, 4);
	p[4] = (uint8_t)row->kind;
	p[5] = row->family;
	memcpy(p + 6, &flags, 2);
	memcpy(p + 8, &key, 8);
	return p + SQ_HEAD;
}

bool
sq_head_put(struct ctf_frame *fr, const struct sq_row *row)
{
	uint8_t head[SQ_HEAD];

	head_write(head, row);
	return ctf_frame_put(fr, head, sizeof(head));
}

static bool
is_text(const struct ctf_field *def)
{
	return def->type == CTF_TEXT || def->type == CTF_BYTES;
}

static uint64_t
text_room(const struct sq_fields *f, const struct ctf_rec *r)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < f->n; i++)
		if (is_text(f->def[i]) && ctf_has(r, f->ref[i]))
			n += r->v[f->ref[i]].s.len;
	return n;
}

static uint8_t *
value_write(uint8_t *p, const union ctf_val *v, unsigned type, uint8_t family)
{
	unsigned size = size_of(type, family);
	uint64_t u;
	uint32_t len;

	if (type == CTF_IP) {
		memcpy(p, v->ip, 16);
		return p + size;
	}
	if (size) {
		u = htole64(v->u);
		memcpy(p, &u, 8);
		return p + size;
	}
	len = htole32(v->s.len);
	memcpy(p, &len, 4);
	if (v->s.len)
		memcpy(p + 4, v->s.p, v->s.len);
	return p + 4 + v->s.len;
}

static size_t
source_len(const struct sq_fields *f)
{
	size_t n = strlen(f->source);

	return n > UINT8_MAX ? UINT8_MAX : n;
}

/* What stands between the head and the values, the bitmap apart. */
static uint8_t *
lives_write(uint8_t *p, const struct sq_fields *f, const struct ctf_rec *r, struct sq_row *row)
{
	uint64_t seen = htole64(r->rx_ns);

	row->key = ctf_num_or(r, f->start, 0);
	row->flags = SQ_LIVES | (r->kind == CTF_DELTA ? SQ_DELTA : 0);
	memcpy(p, &seen, 8);
	p[8] = (uint8_t)source_len(f);
	memcpy(p + SEEN, f->source, p[8]);
	return p + SEEN + p[8];
}

static void
event_key(const struct sq_fields *f, const struct ctf_rec *r, struct sq_row *row)
{
	row->key = r->rx_ns;
	if (ctf_has(r, f->stop)) {
		row->key = ctf_num(r, f->stop);
		row->flags |= SQ_STAMPED;
	}
	if (r->event == CTF_DESTROY)
		row->flags |= SQ_FINISHED;
}

bool
sq_rec_put(const struct sq_fields *f, const struct ctf_rec *r, struct ctf_frame *fr)
{
	struct sq_row row = { .kind = SQ_REC, .family = r->family };
	uint8_t *start = fr->p + fr->len, *bits = start + SQ_HEAD, *p;

	if (fr->cap - fr->len < f->room + text_room(f, r))
		return false;
	if (r->kind == CTF_EVENT)
		event_key(f, r, &row);
	else
		bits = lives_write(bits, f, r, &row);
	p = bits + (f->n + 7) / 8;
	memset(bits, 0, (size_t)(p - bits));
	for (unsigned i = 0; i < f->n; i++) {
		if (!ctf_has(r, f->ref[i]))
			continue;
		bits[i / 8] |= (uint8_t)(1u << i % 8);
		p = value_write(p, &r->v[f->ref[i]], f->def[i]->type, r->family);
	}
	row.len = (uint32_t)(p - start - SQ_HEAD);
	head_write(start, &row);
	fr->len += SQ_HEAD + row.len;
	return true;
}

/* Splits the names off; they are NUL-terminated in l->text. */
static int
layout_names(struct sq_layout *l, const uint8_t *p, const uint8_t *end)
{
	char *out = l->text;

	for (unsigned i = 0; i < l->n; i++) {
		if (end - p < 3 || end - p - 3 < p[2])
			return -EBADMSG;
		if (p[0] < CTF_U8 || p[0] > CTF_BYTES)
			return -EBADMSG;
		l->type[i] = p[0];
		l->zero[i] = p[1];
		l->name[i] = out;
		memcpy(out, p + 3, p[2]);
		out[p[2]] = '\0';
		out += p[2] + 1;
		p += 3 + p[2];
	}
	return p == end ? 0 : -EBADMSG;
}

int
sq_layout_get(struct sq_layout *l, const struct ctf_layout *from)
{
	uint16_t head[2];

	*l = (struct sq_layout){ .id = from->id };
	if (from->len < 8 || memcmp(from->p, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	memcpy(head, from->p + 4, sizeof(head));
	l->n = le16toh(head[1]);
	if (le16toh(head[0]) != ROW_FORMAT || l->n > SQ_FIELDS)
		return -EBADMSG;
	/* Three bytes stand before each name, one is needed after it. */
	l->text = malloc(from->len);
	if (!l->text)
		return -ENOMEM;
	return layout_names(l, from->p + 8, from->p + from->len);
}

void
sq_layout_free(struct sq_layout *l)
{
	free(l->text);
	*l = (struct sq_layout){ .n = 0 };
}

int
sq_layout_find(const struct sq_layout *l, const char *name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->name[i], name) == 0)
			return (int)i;
	return -1;
}

static uint64_t
number_read(const uint8_t *p, unsigned size)
{
	uint64_t u = 0;

	memcpy(&u, p, size);
	return le64toh(u);
}

/* Splits off what a record of a living flow has before its values. */
static void
lives_split(struct sq_row *row)
{
	row->seen_ns = number_read(row->p, 8);
	row->source = (struct sq_text){ (const char *)row->p + SEEN, row->p[8] };
	row->len -= SEEN + row->source.len;
	row->p += SEEN + row->source.len;
}

int
sq_row_get(const uint8_t *p, size_t n, struct sq_row *ret_row)
{
	bool lives;
	uint32_t len;

	if (n < SQ_HEAD)
		return -EBADMSG;
	len = (uint32_t)number_read(p, 4);
	if (len < SQ_HEAD || len > n || len > INT32_MAX || p[4] < SQ_REC || p[4] > SQ_SWEEP)
		return -EBADMSG;
	lives = p[4] == SQ_REC && number_read(p + 6, 2) & SQ_LIVES;
	if (lives && (len < SQ_HEAD + SEEN || len - SQ_HEAD - SEEN < p[SQ_HEAD + 8]))
		return -EBADMSG;
	*ret_row = (struct sq_row){ .kind = p[4],
				    .family = p[5],
				    .flags = (uint16_t)number_read(p + 6, 2),
				    .key = number_read(p + 8, 8),
				    .p = p + SQ_HEAD,
				    .len = len - SQ_HEAD };
	if (lives)
		lives_split(ret_row);
	return (int)len;
}

/* Returns the bytes taken, or -EBADMSG. */
static int64_t
value_read(struct sq_cell *c, unsigned type, uint8_t family, const uint8_t *p, size_t n)
{
	unsigned size = size_of(type, family);

	if (n < (size ? size : 4))
		return -EBADMSG;
	c->has = true;
	if (type == CTF_IP) {
		c->p = p;
		c->len = size;
		return size;
	}
	c->u = number_read(p, size ? size : 4);
	if (size)
		return size;
	if (c->u > n - 4)
		return -EBADMSG;
	c->p = p + 4;
	c->len = (uint32_t)c->u;
	return 4 + (int64_t)c->len;
}

int
sq_rec_get(const struct sq_layout *l, const struct sq_row *row, struct sq_cell *cells)
{
	const uint8_t *bits = row->p, *end = row->p + row->len;
	const uint8_t *p = bits + (l->n + 7) / 8;
	int64_t took;

	if (row->len < (l->n + 7) / 8)
		return -EBADMSG;
	for (unsigned i = 0; i < l->n; i++) {
		cells[i].has = false;
		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		took = value_read(&cells[i], l->type[i], row->family, p, (size_t)(end - p));
		if (took < 0)
			return -EBADMSG;
		p += took;
	}
	return p == end ? 0 : -EBADMSG;
}
