/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and their values; see columns.h. */
#include "columns.h"

#include <errno.h>

static int
add(struct columns *cs, struct column c, const char *name)
{
	if (cs->n == CTF_SLOTS + 1)
		return 0;
	if (text_label_set(&c.label, "", name, false, "=") < 0)
		return -ENOMEM;
	cs->fixed += c.label.len + CTF_FMT_IP + 1;
	cs->col[cs->n++] = c;
	return 0;
}

static int
add_field(struct columns *cs, ctf_ref ref, const struct ctf_field *field, bool raw)
{
	struct column c = { .ref = ref,
			    .type = field->type,
			    .zero = field->flags & CTF_F_ZERO };
	int r;

	if (!raw && field->type == CTF_BYTES)
		return 0;
	r = add(cs, c, field->name);
	if (!r && raw && strcmp(field->name, "oob.protocol") == 0) /* the input's last key */
		r = add(cs, (struct column){ .type = CTF_BYTES, .always = true }, "ct");
	return r;
}

int
columns_want(struct columns *cs, struct ctf_ctx *ctx, bool raw, struct ctf_err *err)
{
	const struct ctf_field *field;
	ctf_ref ref;
	int r = 1;

	cs->fixed = TEXT_LABEL;
	for (unsigned i = 0; r > 0; i++) {
		r = ctf_want_nth(ctx, i, &ref, &field, err);
		if (r > 0 && add_field(cs, ref, field, raw) < 0)
			return ctf_fail(err, ENOMEM, "out of memory");
	}
	return r;
}

void
columns_free(struct columns *cs)
{
	for (unsigned i = 0; i < cs->n; i++)
		text_label_free(&cs->col[i].label);
}

static bool
has(const struct column *c, const struct ctf_rec *r)
{
	return !c->always && ctf_has(r, c->ref);
}

size_t
columns_room(const struct columns *cs, const struct ctf_rec *r)
{
	size_t sum = cs->fixed;

	for (unsigned i = 0; i < cs->n; i++)
		if (cs->col[i].type == CTF_TEXT && has(&cs->col[i], r))
			sum += r->v[cs->col[i].ref].s.len;
	return sum;
}

static char *
put_value(char *p, const struct column *c, const struct ctf_rec *r)
{
	const union ctf_val *v = &r->v[c->ref];

	switch (c->type) {
	case CTF_BYTES:
		return text_put(p, "default", 7);
	case CTF_TEXT:
		return text_put(p, v->s.p, v->s.len);
	case CTF_IP:
		return ctf_fmt_ip(p, v->ip, r->family);
	default:
		return ctf_fmt_num(p, v->u);
	}
}

static inline char *
put(char *p, const struct column *c, const struct ctf_rec *r, char end)
{
	bool value = c->always || ctf_has(r, c->ref);

	if (!value && !c->zero)
		return p;
	p = text_label(p, &c->label);
	if (value)
		p = put_value(p, c, r);
	else
		*p++ = '0';
	*p++ = end;
	return p;
}

char *
columns_put(char *p, const struct columns *cs, const struct ctf_rec *r, char end)
{
	for (unsigned i = 0; i < cs->n; i++)
		p = put(p, &cs->col[i], r, end);
	return p;
}
