/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of a state page: a head, then blocks with a name.  The daemon
 * writes them (state.c), others only look (state_look.c).
 */
#ifndef CTF_STATE_PAGE_H
#define CTF_STATE_PAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_FORMAT 1u
#define STATE_ALIGN 64u
#define STATE_BLOCK 0x6b636f6cu

struct state_head {
	char magic[8];
	uint32_t format, size; /* of this struct */
	char boot_id[40];
	char conf[192]; /* the end of its path, for a human being */
	uint64_t sum;   /* of the above */
};

struct state_block {
	_Atomic uint32_t magic;
	uint32_t size, name_len;
	_Atomic uint32_t idle; /* starts since it was asked for; not in the sum */
	uint64_t sum;          /* of size, name_len and the name */
	_Atomic uint64_t spare;
	/* the name, then, aligned, `size` bytes of data */
};

static inline size_t
state_aligned(size_t n)
{
	return (n + STATE_ALIGN - 1) / STATE_ALIGN * STATE_ALIGN;
}

/* The path of the page of that configuration: 0 or -ENAMETOOLONG. */
int state_page_path(char *path, size_t size, const char *dir, const char *conf);
/* Fills in magic, format, size and sum; the rest is there. */
void state_head_seal(struct state_head *);
/* What is wrong with the page of that length, or NULL. */
const char *state_head_fault(const struct state_head *, size_t len);

void state_block_seal(struct state_block *, const char *name);
char *state_block_name(struct state_block *);
void *state_block_data(struct state_block *);
/* With its name and data. */
size_t state_block_len(const struct state_block *);
/* The block at `at`; NULL when none begins there or it is damaged. */
struct state_block *state_block_at(uint8_t *p, size_t len, size_t at);
/* The block of that name and size, or NULL. */
struct state_block *state_block_find(uint8_t *p, size_t len, const char *name, size_t size);

#endif
