/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the text outputs share: JSON strings, the time of day, and the lines
 * about gaps.  Formatters write at p, where the caller has made room, and
 * return the end; nothing is terminated.
 */
#ifndef CTF_OUTPUT_TEXT_H
#define CTF_OUTPUT_TEXT_H

#include <ctflow/plugin.h>
#include <time.h>

#define TEXT_ISO 24u   /* the most text_iso() writes */
#define TEXT_TIME 64u  /* a time of day as strftime(3) makes it */
#define TEXT_JSON 6u   /* bytes text_json() makes of one, at worst */
#define TEXT_LABEL 32u /* text_label() may touch that many bytes */

/* 2026-11-21T05:17:41.123Z */
char *text_iso(char *p, uint64_t ns);

static inline char *
text_put(char *p, const void *s, size_t n)
{
	if (n)
		memcpy(p, s, n);
	return p + n;
}

/*
 * The inside of a JSON string: always UTF-8 (U+FFFD stands for bytes that are
 * none), quotes, backslashes and control characters escaped.
 */
char *text_json(char *p, const void *s, size_t n);
/* How many bytes text_json() makes of it. */
size_t text_json_len(const void *s, size_t n);

/* A label of a line, copied in one go when it is short. */
struct text_label {
	char s[TEXT_LABEL];
	uint32_t len;
	char *more; /* the whole, when it does not fit into s */
};

/* Takes what text_label_set() is given: before + name (JSON-escaped if so) + after. */
int text_label_set(struct text_label *, const char *before, const char *name, bool json,
		   const char *after);
void text_label_free(struct text_label *);

static inline char *
text_label(char *p, const struct text_label *l)
{
	if (l->more)
		return text_put(p, l->more, l->len);
	memcpy(p, l->s, TEXT_LABEL); /* a constant size is a few moves */
	return p + l->len;
}

/* What begins a line: text round the local time, made anew once a second. */
struct text_stamp {
	uint64_t sec; /* the second s is about */
	uint32_t len; /* 0: none yet */
	char s[1792];
};

static inline bool
text_stamp_fresh(const struct text_stamp *t, uint64_t ns)
{
	return t->len && t->sec == ns / 1000000000;
}

/* The local time of ns. */
struct tm text_local(uint64_t ns);
/* Makes s, for the second of ns, of three parts. */
void text_stamp_set(struct text_stamp *, uint64_t ns, const char *before, const char *local,
		    const char *after);

/* The stamp and the text appended to the frame; a newline is added where none is. */
enum ctf_put text_line(struct ctf_frame *, const struct text_stamp *, const void *s, size_t n);
/* "[GAP] FROM=... TO=... CAUSE=... COUNT=... \n" appended to the frame. */
enum ctf_put text_gap(struct ctf_frame *, const struct ctf_gap *, const struct text_stamp *);

#endif
