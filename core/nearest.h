/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nearest.h - which of many words was meant by a mistyped one. */
#ifndef CTF_NEAREST_H
#define CTF_NEAREST_H

struct nearest {
	const char *key, *word; /* word: the nearest so far, or NULL */
	unsigned edits;         /* fewer than these are near */
};

struct nearest nearest_to(const char *key);
void nearest_consider(struct nearest *, const char *word);

#endif
