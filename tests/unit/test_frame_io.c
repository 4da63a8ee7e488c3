/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "frame_io.h"
#include "unit.h"

static struct ctf_layout layout = { 0x1122334455667788, 5, (const uint8_t *)"a,b,c" };

static struct qframe *
frame(const char *text)
{
	struct qframe *q = qframe_new(NULL, 100);

	ctf_frame_put(&q->f, text, strlen(text));
	q->f.recs = 3;
	q->f.stream = 7;
	q->f.number = 0x0102030405060708;
	q->f.first_ns = 10;
	q->f.last_ns = UINT64_MAX - 1;
	q->f.upto = 1000;
	q->f.flows = 2;
	q->f.layout = &layout;
	return q;
}

static struct qframe *
gap_frame(void)
{
	struct qframe *q = frame("[GAP]\n");

	q->is_gap = q->taken = true;
	q->gap = (struct ctf_gap){ 1, 2, CTF_UNKNOWN, CTF_UNCOUNTED, "overrun", "ct1", -1 };
	return q;
}

static uint8_t *
written(const struct qframe *q, size_t *ret_n)
{
	size_t n = block_frame_size(q);
	uint8_t *p = malloc(n); /* no more: a byte too many is seen */

	ck_assert_uint_ne(n, 0);
	block_put_frame(p, q);
	*ret_n = n;
	return p;
}

START_TEST(crc_is_castagnoli)
{
	uint8_t zero[32] = { 0 };

	/* RFC 3720 B.4 */
	ck_assert_uint_eq(crc32c(0, zero, 32), 0x8a9136aa);
	ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xe3069283);
	ck_assert_uint_eq(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}
END_TEST

START_TEST(a_frame_comes_back)
{
	struct qframe *q = frame("hello"), *back;
	struct block b;
	size_t n;
	uint8_t *p = written(q, &n);

	ck_assert_int_eq(block_read(p, n, &b), (int64_t)n);
	ck_assert_uint_eq(b.type, BLOCK_FRAME);
	ck_assert_uint_eq(b.layout, layout.id);
	ck_assert(!b.taken && !b.is_gap);
	back = block_to_frame(&b, &layout, NULL, NULL, NULL);
	ck_assert_uint_eq(back->f.number, q->f.number);
	ck_assert_uint_eq(back->f.first_ns, q->f.first_ns);
	ck_assert_uint_eq(back->f.last_ns, q->f.last_ns);
	ck_assert_uint_eq(back->f.recs, 3);
	ck_assert_uint_eq(back->f.stream, 7);
	ck_assert_uint_eq(back->f.upto, 1000);
	ck_assert_uint_eq(back->f.flows, 2);
	ck_assert_uint_eq(back->f.len, 5);
	ck_assert_mem_eq(back->f.p, "hello", 5);
	ck_assert_ptr_eq(back->f.layout, &layout);
	free(back);
	free(q);
	free(p);
}
END_TEST

START_TEST(the_bytes_are_these_on_any_machine)
{
	struct qframe *q = frame("x");
	size_t n;
	uint8_t *p = written(q, &n);
	const uint8_t head[] = { 'c', 't', 'f', 'b', 2, 0, 56, 0, 57, 0, 0, 0 };
	const uint8_t rest[] = { 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
				 8,    7,    6,    5,    4,    3,    2,    1 };

	ck_assert_uint_eq(n, 16 + 56 + 1);
	ck_assert_mem_eq(p, head, sizeof(head));
	ck_assert_mem_eq(p + 16, rest, sizeof(rest));
	free(p);
	free(q);
}
END_TEST

START_TEST(a_gap_comes_back)
{
	struct qframe *q = gap_frame(), *back;
	struct block b;
	size_t n;
	uint8_t *p = written(q, &n);

	ck_assert_int_eq(block_read(p, n, &b), (int64_t)n);
	ck_assert(b.taken && b.is_gap);
	ck_assert_uint_eq(b.cause_len, 7);
	ck_assert_mem_eq(b.cause, "overrun", 7);
	ck_assert_uint_eq(b.instance_len, 3);
	ck_assert_mem_eq(b.instance, "ct1", 3);
	back = block_to_frame(&b, &layout, NULL, "overrun", "ct1");
	ck_assert(back->is_gap && back->taken);
	ck_assert_uint_eq(back->gap.from_ns, 1);
	ck_assert_uint_eq(back->gap.to_ns, 2);
	ck_assert_uint_eq(back->gap.count, CTF_UNKNOWN);
	ck_assert_int_eq(back->gap.count_is, CTF_UNCOUNTED);
	ck_assert_int_eq(back->gap.nsid, -1);
	ck_assert_str_eq(back->gap.cause, "overrun");
	free(back);
	free(q);
	free(p);
}
END_TEST

START_TEST(layouts_and_bytes_come_back)
{
	size_t nl = block_layout_size(&layout), nb = block_bytes_size("keys", 3), n = nl + nb;
	uint8_t *p = malloc(n);
	struct block b;

	block_put_layout(p, &layout);
	block_put_bytes(p + nl, "keys", "abc", 3);
	ck_assert_int_eq(block_read(p, n, &b), (int64_t)nl);
	ck_assert_uint_eq(b.type, BLOCK_LAYOUT);
	ck_assert_uint_eq(b.layout, layout.id);
	ck_assert_uint_eq(b.len, 5);
	ck_assert_mem_eq(b.p, "a,b,c", 5);
	ck_assert_int_eq(block_read(p + nl, nb, &b), (int64_t)nb);
	ck_assert_uint_eq(b.type, BLOCK_BYTES);
	ck_assert_uint_eq(b.name_len, 4);
	ck_assert_mem_eq(b.name, "keys", 4);
	ck_assert_mem_eq(b.p, "abc", 3);
	ck_assert_int_eq(block_read(p + n, 0, &b), 0);
	free(p);
}
END_TEST

START_TEST(what_is_too_large_has_no_size)
{
	struct qframe *q = gap_frame();
	char name[BLOCK_TEXT + 2];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	q->gap.instance = name;
	ck_assert_uint_eq(block_frame_size(q), 0);
	ck_assert_uint_eq(block_bytes_size(name, 1), 0);
	ck_assert_uint_ne(block_bytes_size(name + 1, 1), 0);
	ck_assert_uint_eq(block_bytes_size("x", BLOCK_MAX), 0);
	q->gap.instance = name + 1;
	ck_assert_uint_ne(block_frame_size(q), 0);
	free(q);
}
END_TEST

/* Each truncation, in memory of exactly that size. */
START_TEST(cut_short_is_seen)
{
	struct qframe *q = gap_frame();
	struct block b;
	size_t n;
	uint8_t *p = written(q, &n);

	for (size_t len = 1; len < n; len++) {
		uint8_t *cut = malloc(len);

		memcpy(cut, p, len);
		ck_assert_int_eq(block_read(cut, len, &b), -ENODATA);
		free(cut);
	}
	free(p);
	free(q);
}
END_TEST

START_TEST(each_flipped_bit_is_seen)
{
	struct qframe *q = gap_frame();
	struct block b;
	size_t n;
	uint8_t *p = written(q, &n);

	for (size_t bit = 0; bit < 8 * n; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_lt(block_read(p, n, &b), 0);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_int_eq(block_read(p, n, &b), (int64_t)n);
	free(p);
	free(q);
}
END_TEST

static void
mend(uint8_t *p, size_t n)
{
	uint32_t crc = crc32c(crc32c(0, p, 12), p + 16, n - 16);

	for (int i = 0; i < 4; i++)
		p[12 + i] = (uint8_t)(crc >> 8 * i);
}

static bool
within(const struct block *b, const uint8_t *p, size_t n)
{
	const uint8_t *last = (const uint8_t *)b->instance;

	return b->p >= p && b->p + b->len <= p + n &&
	       (!b->is_gap || (last > p && last + b->instance_len <= p + n));
}

/* Wrong although the CRC is right: each byte of the head has every value. */
START_TEST(a_right_crc_makes_nothing_safe)
{
	struct qframe *q = gap_frame();
	unsigned refused = 0;
	struct block b;
	size_t n;
	uint8_t *p = written(q, &n);

	for (size_t i = 4; i < 16 + 56 + 36 + 10; i++) {
		uint8_t was = p[i];

		for (unsigned x = 0; x < 256 && (i < 12 || i >= 16); x++) {
			int64_t r;

			p[i] = (uint8_t)x;
			mend(p, n);
			r = block_read(p, n, &b);
			refused += r < 0;
			if (r <= 0 || b.type != BLOCK_FRAME)
				continue;
			ck_assert(within(&b, p, n));
		}
		p[i] = was;
	}
	ck_assert_uint_gt(refused, 0);
	free(p);
	free(q);
}
END_TEST

START_TEST(a_later_version_may_say_more)
{
	/* A longer head than ours, and a type we do not know. */
	uint8_t p[16 + 10 + 3] = { 'c', 't', 'f', 'b', BLOCK_LAYOUT, 0, 10, 0, 13 };
	struct block b;

	memcpy(p + 26, "abc", 3);
	mend(p, sizeof(p));
	ck_assert_int_eq(block_read(p, sizeof(p), &b), (int64_t)sizeof(p));
	ck_assert_uint_eq(b.len, 3);
	ck_assert_mem_eq(b.p, "abc", 3);
	p[4] = 99;
	mend(p, sizeof(p));
	ck_assert_int_eq(block_read(p, sizeof(p), &b), (int64_t)sizeof(p));
	ck_assert_uint_eq(b.type, 99);
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_test(tc, crc_is_castagnoli);
	tcase_add_test(tc, a_frame_comes_back);
	tcase_add_test(tc, the_bytes_are_these_on_any_machine);
	tcase_add_test(tc, a_gap_comes_back);
	tcase_add_test(tc, layouts_and_bytes_come_back);
	tcase_add_test(tc, what_is_too_large_has_no_size);
	tcase_add_test(tc, cut_short_is_seen);
	tcase_add_test(tc, each_flipped_bit_is_seen);
	tcase_add_test(tc, a_right_crc_makes_nothing_safe);
	tcase_add_test(tc, a_later_version_may_say_more);
}

int
main(void)
{
	return unit_main("frame_io", add_tests);
}
