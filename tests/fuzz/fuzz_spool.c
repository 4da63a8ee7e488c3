/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as a segment of a spool, complete or left open, and the names of
 * files.  The first byte says what: bit 0 open, bit 1 the CRCs of the blocks
 * are mended, bit 2 a head of the right spool is put before it, bit 3 the bytes
 * are a name.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment.h"
#include "spool_head.h"

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

static void
put(int fd, const void *p, size_t n)
{
	if (write(fd, p, n) != (ssize_t)n)
		abort();
}

static void
put_head(int fd, const struct segment_owner *o)
{
	struct spool_head h = { o->spool, o->id, o->plugin };
	uint8_t bytes[SPOOL_HEAD_MAX], block[SPOOL_HEAD_MAX + 64];
	size_t n = spool_head_put(&h, bytes), size = block_bytes_size(SPOOL_HEAD, n);

	block_put_bytes(block, SPOOL_HEAD, bytes, n);
	put(fd, block, size);
}

/* All frames, twice the same; returns how many, and where the last one ends. */
static unsigned
read_all(struct segment_reader *r, const struct segment *s, uint64_t *ret_at)
{
	uint64_t last = s->first - 1;
	unsigned n = 0;
	struct block b;
	int ret = segment_seek(r, s, 0, last);

	*ret_at = 0;
	while (!ret && segment_next(r, &b) == 1) {
		struct qframe *q = segment_frame(r, &b, NULL);

		if (!q || q->f.number <= last || !q->f.layout ||
		    (q->is_gap && strlen(q->gap.cause) + strlen(q->gap.instance) > 1000))
			abort();
		last = q->f.number;
		*ret_at = r->at;
		free(q);
		n++;
	}
	return n;
}

static void
as_segment(const struct segment_owner *o, struct segment *s)
{
	struct segment_reader r;
	uint64_t at, again, torn = 0;
	unsigned n;

	segment_reader_init(&r, o);
	n = read_all(&r, s, &at);
	segment_reader_free(&r);
	if (s->open) {
		uint64_t size = s->bytes;

		if (segment_recover(&r, s, &torn) || (n && s->bytes + torn != size))
			abort();
		if (n && (s->bytes != at || read_all(&r, s, &again) != n || again != at))
			abort();
		segment_reader_free(&r);
	}
	if (segment_unlink(o, s))
		abort();
}

static void
as_name(const uint8_t *data, size_t size)
{
	char name[SEGMENT_NAME], again[SEGMENT_NAME];
	struct segment s;

	snprintf(name, sizeof(name), "%.*s", (int)(size < 60 ? size : 60), (const char *)data);
	if (!segment_parse_name(name, &s))
		return;
	segment_name(&s, again);
	if (strcmp(name, again) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_owner o = { -1, 7, "out", "KEEP" };
	struct segment s = { .first = 1, .last = UINT64_MAX / 2, .flows = 3 };
	char dir[] = "fuzz_spool.XXXXXX", name[SEGMENT_NAME];
	uint8_t *copy;
	int fd;

	if (size == 0)
		return 0;
	if (data[0] & 8) {
		as_name(data + 1, size - 1);
		return 0;
	}
	copy = malloc(size);
	if (!copy || !mkdtemp(dir) || (o.dir = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
		abort();
	memcpy(copy, data, size);
	if (data[0] & 2)
		mend(copy + 1, size - 1);
	s.open = data[0] & 1;
	segment_name(&s, name);
	fd = openat(o.dir, name, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		abort();
	if (data[0] & 4)
		put_head(fd, &o);
	put(fd, copy + 1, size - 1);
	s.bytes = (uint64_t)lseek(fd, 0, SEEK_CUR);
	close(fd);
	as_segment(&o, &s);
	close(o.dir);
	rmdir(dir);
	free(copy);
	return 0;
}
