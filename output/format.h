/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of the user's own making: text with %{field} in it, and lists of
 * fields.  A field may be followed by what stands for it where the record has
 * not got it, and by how it is written:
 *
 *	%{orig.ip.saddr}  %{icmp.type|none}  %{flow.start.ns|-:local iso.ms}
 */
#ifndef CTF_OUTPUT_FORMAT_H
#define CTF_OUTPUT_FORMAT_H

#include "text.h"

struct format_piece;

struct format {
	struct ctf_ctx *ctx;
	const char *option; /* the one errors are about */
	char separator;     /* of columns */
	unsigned n;
	struct format_piece *piece;
	size_t fixed; /* room for a line but for the texts in it */
};

#define FORMAT_OPT(off) \
	{ \
		"format", CTF_OTEXT, off, 0, 8000, "", NULL, \
			"the line instead: text with %{field} in it, see FORMATS" \
	}

/* In setup(): 0, or -errno with err about the line that gave the option. */
int format_set(struct format *, struct ctf_ctx *, const char *option, const char *text,
	       struct ctf_err *);
/*
 * Columns: `orig.ip.saddr,flow.start.ns:iso`, each quoted where the separator
 * or a quote is in it.  header: to be freed; their names, and a newline.
 */
int format_set_columns(struct format *, struct ctf_ctx *, const char *option, const char *list,
		       char separator, char **ret_header, struct ctf_err *);
void format_free(struct format *);
static inline bool
format_is_set(const struct format *f)
{
	return f->n != 0;
}

/* The stamp (may be empty), the line and a newline, appended to the frame. */
enum ctf_put format_line(struct format *, const struct text_stamp *, const struct ctf_rec *,
			 struct ctf_frame *);

/* ---- its parts: format_time.c and format_put.c write them ---- */

enum format_form {
	FORM_PLAIN = 0,
	FORM_HEX,
	FORM_JSON,
	FORM_CSV,
	FORM_SINCE,    /* 1970, in units of `unit` ns */
	FORM_ISO,      /* 2026-11-21T05:17:41.123Z, `digits` after the dot */
	FORM_STRFTIME, /* as `pattern` says */
	FORM_DIGITS,   /* what comes after the second alone */
};

#define FORMAT_TIME 256u /* the most format_time() writes */

struct format_spec {
	enum format_form form;
	bool time; /* it is one for times */
	bool local;
	unsigned digits;
	uint64_t unit;
	char *pattern; /* owned */
	/* what the second before looked like */
	uint64_t sec;
	uint32_t len;
	char text[FORMAT_TIME];
};

/*
 * What stands behind the colon, words and maybe a pattern: 0, -EINVAL
 * (*ret_bad: what is meant), -ENOMEM.
 */
int format_spec(struct format_spec *, const char *words, const char *pattern,
		const char **ret_bad);
char *format_time(char *p, struct format_spec *, uint64_t ns);

enum format_what { /* a piece is */
		   LITERAL,
		   FIELD,
		   RECEIVED, /* when the event was received */
		   EVENT,    /* NEW, UPDATE or DESTROY */
		   PROTO,    /* tcp, or a number */
};

struct format_piece {
	enum format_what what;
	ctf_ref ref;
	enum ctf_type type;
	bool seconds; /* a number of them, which a time can be made of */
	bool zero;    /* absent is 0 */
	bool follows; /* goes on with the field before: absent is nothing */
	bool quoted;  /* nobody said what an absent one is */
	bool column;  /* begins a column that is not the first */
	char *text;   /* LITERAL, or what stands for an absent value */
	uint32_t len;
	struct format_spec spec;
};

#endif
