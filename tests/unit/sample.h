/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines recorded from ulogd2 (tests/replay/ulogd-samples), taken apart into
 * records and compared with what our plugins make of these records.
 */
#ifndef TEST_SAMPLE_H
#define TEST_SAMPLE_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "plug.h"

#define SAMPLE_MAX 160
#define SAMPLE_LINE 2048

struct sample {
	unsigned n;
	char line[SAMPLE_MAX][SAMPLE_LINE]; /* without the newline */
};

static inline struct sample *
sample_read(const char *name)
{
	struct sample *s = calloc(1, sizeof(*s));
	const char *top = getenv("srcdir");
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/tests/replay/ulogd-samples/%s", top ? top : ".", name);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s is missing", path);
	while (s->n < SAMPLE_MAX && fgets(s->line[s->n], SAMPLE_LINE, f))
		s->line[s->n][strcspn(s->line[s->n], "\n")] = '\0', s->n++;
	fclose(f);
	ck_assert_uint_gt(s->n, 0);
	return s;
}

/* Replaces the first `from` in line, which must be there. */
static inline void
sample_replace(char *line, const char *from, const char *to)
{
	char rest[SAMPLE_LINE], *at = strstr(line, from);

	ck_assert_msg(at != NULL, "no '%s' in '%s'", from, line);
	snprintf(rest, sizeof(rest), "%s", at + strlen(from));
	snprintf(at, SAMPLE_LINE - (size_t)(at - line), "%s%s", to, rest);
}

/* A value ulogd2 printed; a 0 it printed for an absent one is left absent. */
static inline void
sample_value(struct plug *p, const char *key, const char *value)
{
	static const char *const zero[] = { "orig.raw.pktlen",  "orig.raw.pktcount",
					    "reply.raw.pktlen", "reply.raw.pktcount",
					    "ct.mark",          "oob.protocol" };
	size_t len = strlen(key);

	if (strcmp(value, "0") == 0)
		for (unsigned i = 0; i < sizeof(zero) / sizeof(*zero); i++)
			if (strcmp(key, zero[i]) == 0)
				return;
	if (len > 4 && strcmp(key + len - 4, ".str") == 0)
		plug_text(p, key, value);
	else if (len > 4 && strcmp(key + len - 4, "addr") == 0)
		plug_ip(p, key, value);
	else
		plug_num(p, key, strtoull(value, NULL, 10));
}

/* The only line the plugin made of the record. */
static inline const char *
sample_line(struct plug *p)
{
	static char buf[1 << 16];
	const struct ctf_frame *f;

	ck_assert_int_eq(plug_encode(p), CTF_OK);
	f = plug_seal(p);
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(f->recs, 1);
	ck_assert_uint_lt(f->len, sizeof(buf));
	memcpy(buf, f->p, f->len);
	ck_assert_uint_gt(f->len, 0);
	ck_assert_int_eq(buf[f->len - 1], '\n');
	buf[f->len - 1] = '\0';
	return buf;
}

#endif
