/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nearest.c - which of many words was meant by a mistyped one. */
#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "opt.h"

#define NEAR_MAX 63u /* longer words resemble nothing */

/* Edits (a swap of neighbours is one) that make b of a; la, lb <= NEAR_MAX. */
static unsigned
distance(const char *a, size_t la, const char *b, size_t lb)
{
	unsigned row[3][NEAR_MAX + 1], *above2 = row[0], *above = row[1], *cur = row[2];

	for (size_t k = 0; k <= lb; k++)
		above[k] = (unsigned)k;
	for (size_t i = 1; i <= la; i++) {
		unsigned *t = above2;

		cur[0] = (unsigned)i;
		for (size_t k = 1; k <= lb; k++) {
			bool same = tolower((unsigned char)a[i - 1]) ==
				    tolower((unsigned char)b[k - 1]);
			unsigned best = above[k - 1] + !same;

			if (above[k] + 1 < best)
				best = above[k] + 1;
			if (cur[k - 1] + 1 < best)
				best = cur[k - 1] + 1;
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
			    above2[k - 2] + 1 < best)
				best = above2[k - 2] + 1;
			cur[k] = best;
		}
		above2 = above;
		above = cur;
		cur = t;
	}
	return above[lb];
}

struct nearest
nearest_to(const char *key)
{
	size_t len = strlen(key);

	return (struct nearest){
		.key = key,
		.edits = len > NEAR_MAX || len < 2 ? 0
			 : len < 4                 ? 2
			 : len < 9                 ? 3
						   : 4,
	};
}

void
nearest_consider(struct nearest *n, const char *word)
{
	size_t len = strlen(word);
	unsigned edits;

	if (!n->edits || len > NEAR_MAX)
		return;
	edits = distance(n->key, strlen(n->key), word, len);
	if (edits < n->edits && edits < len) {
		n->edits = edits;
		n->word = word;
	}
}

const char *
opt_nearest(const char *key, const char *const *words, size_t n)
{
	struct nearest near = nearest_to(key);

	for (size_t i = 0; i < n; i++)
		nearest_consider(&near, words[i]);
	return near.word;
}
