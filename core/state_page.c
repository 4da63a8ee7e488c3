/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "state_page.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <ctflow/plugin.h>

#include "state_file.h"

static const char magic[8] = "ctfstate";

/* Its name says which configuration; the number makes it unique. */
int
state_page_path(char *path, size_t size, const char *dir, const char *conf)
{
	const char *base = strrchr(conf, '/');
	uint64_t h = ctf_hash(CTF_HASH, conf, strlen(conf));
	int n = snprintf(path, size, "%s/%.100s-%016llx.state", dir, base ? base + 1 : conf,
			 (unsigned long long)h);

	return n >= 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static uint64_t
head_sum(const struct state_head *h)
{
	return ctf_hash(CTF_HASH, h, offsetof(struct state_head, sum));
}

void
state_head_seal(struct state_head *h)
{
	memcpy(h->magic, magic, sizeof(magic));
	h->format = STATE_FORMAT;
	h->size = sizeof(*h);
	h->sum = head_sum(h);
}

const char *
state_head_fault(const struct state_head *h, size_t len)
{
	if (len < sizeof(*h) || memcmp(h->magic, magic, sizeof(magic)) != 0)
		return "not a state page";
	if (h->format != STATE_FORMAT || h->size != sizeof(*h))
		return "of another version";
	return h->sum == head_sum(h) ? NULL : "damaged";
}

static uint64_t
block_sum(const struct state_block *b, const char *name)
{
	uint64_t h = ctf_hash(CTF_HASH, &b->size, sizeof(b->size));

	h = ctf_hash(h, &b->name_len, sizeof(b->name_len));
	return ctf_hash(h, name, b->name_len);
}

void
state_block_seal(struct state_block *b, const char *name)
{
	b->sum = block_sum(b, name);
}

static size_t
data_at(size_t name_len)
{
	return state_aligned(sizeof(struct state_block) + name_len);
}

size_t
state_block_len(const struct state_block *b)
{
	return data_at(b->name_len) + state_aligned(b->size);
}

char *
state_block_name(struct state_block *b)
{
	return (char *)(b + 1);
}

void *
state_block_data(struct state_block *b)
{
	return (uint8_t *)b + data_at(b->name_len);
}

struct state_block *
state_block_at(uint8_t *p, size_t len, size_t at)
{
	struct state_block *b = (struct state_block *)(p + at);

	if (at > len || len - at < sizeof(*b) || b->magic != STATE_BLOCK)
		return NULL;
	if (b->size > STATE_MAX || b->name_len > STATE_MAX || state_block_len(b) > len - at)
		return NULL;
	return b->sum == block_sum(b, state_block_name(b)) ? b : NULL;
}

struct state_block *
state_block_find(uint8_t *p, size_t len, const char *name, size_t size)
{
	size_t n = strlen(name);
	struct state_block *b;

	for (size_t at = state_aligned(sizeof(struct state_head));
	     (b = state_block_at(p, len, at)); at += state_block_len(b))
		if (b->size == size && b->name_len == n &&
		    memcmp(state_block_name(b), name, n) == 0)
			return b;
	return NULL;
}
