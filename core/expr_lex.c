/* SPDX-License-Identifier: GPL-2.0-or-later */
/* expr_lex.c - the words and signs of an expression. */
#include <string.h>
#include <strings.h>

#include "expr.h"

#define BLANKS " \t\r\n"
#define ENDS_WORD BLANKS "(){}[],=!<>&|"
#define ENDS_FILE BLANKS ",){}]"

static const struct {
	const char *text;
	enum expr_sign sign;
} signs[] = {
	/* the longer ones first */
	{ "&&", X_AND }, { "||", X_OR },     { "==", X_EQ },  { "!=", X_NE },
	{ "<>", X_NE },  { "<=", X_LE },     { ">=", X_GE },  { "<", X_LT },
	{ ">", X_GT },   { "=", X_EQ },      { "!", X_NOT },  { ",", X_COMMA },
	{ "(", X_OPEN }, { ")", X_CLOSE },   { "{", X_LIST }, { "}", X_ENDLIST },
	{ "[", X_LIST }, { "]", X_ENDLIST },
};

static const struct {
	const char *text;
	enum expr_sign sign;
} words[] = { { "and", X_AND }, { "or", X_OR }, { "not", X_NOT } };

bool
expr_is(const struct expr_token *t, const char *word)
{
	return t->sign == X_WORD && t->len == strlen(word) && !strncasecmp(t->p, word, t->len);
}

static struct expr_token
word_at(const char *p)
{
	struct expr_token t = { X_WORD, p, strcspn(p, *p == '@' ? ENDS_FILE : ENDS_WORD) };

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (expr_is(&t, words[i].text)) {
			t.sign = words[i].sign;
			break;
		}
	}
	return t;
}

struct expr_token
expr_next(const char *p)
{
	p += strspn(p, BLANKS);
	if (!*p)
		return (struct expr_token){ X_END, p, 0 };
	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		size_t len = strlen(signs[i].text);

		if (!strncmp(p, signs[i].text, len))
			return (struct expr_token){ signs[i].sign, p, len };
	}
	if (strchr(ENDS_WORD, *p)) /* a single & or | */
		return (struct expr_token){ X_BAD, p, 1 };
	return word_at(p);
}
