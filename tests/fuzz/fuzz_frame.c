/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as stored frames.  Beginning with 'm' they have the CRCs of their
 * blocks mended first, so that what a CRC guards is reached.
 */
#include <stdint.h>
#include <stdlib.h>

#include "frame_io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
mend(uint8_t *p, size_t n)
{
	while (n >= BLOCK_PREFIX) {
		size_t len = p[8] | (size_t)p[9] << 8 | (size_t)p[10] << 16;
		uint32_t crc;

		len = len > n - BLOCK_PREFIX ? n - BLOCK_PREFIX : len;
		crc = crc32c(crc32c(0, p, 12), p + BLOCK_PREFIX, len);
		for (int i = 0; i < 4; i++)
			p[12 + i] = (uint8_t)(crc >> 8 * i);
		p += BLOCK_PREFIX + len;
		n -= BLOCK_PREFIX + len;
	}
}

static char *
text(const char *s, size_t n)
{
	char *copy = malloc(n + 1);

	if (!copy)
		abort();
	if (n)
		memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

/* What is read must be written as it was, its heads of today's length. */
static void
again(const struct block *b)
{
	struct ctf_layout layout = { b->layout, 0, NULL };
	char *cause = text(b->cause, b->cause_len),
	     *instance = text(b->instance, b->instance_len);
	struct qframe *q = block_to_frame(b, &layout, NULL, cause, instance);
	struct block twice;
	uint8_t *p;
	size_t n;

	if (!q)
		abort();
	n = block_frame_size(q);
	p = malloc(n);
	if (!p)
		abort();
	block_put_frame(p, q);
	if (block_read(p, n, &twice) != (int64_t)n || twice.len != b->len ||
	    twice.number != b->number || twice.recs != b->recs || twice.is_gap != b->is_gap ||
	    (b->len && memcmp(twice.p, b->p, b->len) != 0))
		abort();
	free(p);
	free(q);
	free(cause);
	free(instance);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy;
	size_t at = 0;
	struct block b;
	int64_t n;

	if (size == 0)
		return 0;
	copy = malloc(size);
	if (!copy)
		abort();
	memcpy(copy, data, size);
	if (data[0] == 'm')
		mend(copy + 1, size - 1);
	while ((n = block_read(copy + 1 + at, size - 1 - at, &b)) > 0) {
		if (b.type == BLOCK_FRAME)
			again(&b);
		at += (size_t)n;
	}
	free(copy);
	return 0;
}
