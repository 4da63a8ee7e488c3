/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers and addresses as text, for filters.  All write at p, where the
 * caller has made room, and return the end; nothing is terminated.  They run
 * several times per event, hence no printf and no inet_ntop.
 */
#ifndef CTF_FILTER_FMT_H
#define CTF_FILTER_FMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FMT_NUM 20u /* the most fmt_num() writes */
#define FMT_IP4 15u
#define FMT_IP6 39u

static inline char *
fmt_lit(char *p, const char *s)
{
	size_t n = strlen(s); /* folded: s is a literal */

	memcpy(p, s, n);
	return p + n;
}

static inline char *
fmt_num(char *p, uint64_t x)
{
	unsigned n = 1;

	for (uint64_t y = x; y >= 10; y /= 10)
		n++;
	for (char *q = p + n; q > p; x /= 10)
		*--q = (char)('0' + x % 10);
	return p + n;
}

static inline char *
fmt_ip4(char *p, const uint8_t ip[4])
{
	for (unsigned i = 0; i < 4; i++) {
		unsigned x = ip[i];

		if (i)
			*p++ = '.';
		if (x >= 100)
			*p++ = (char)('0' + x / 100);
		if (x >= 10)
			*p++ = (char)('0' + x / 10 % 10);
		*p++ = (char)('0' + x % 10);
	}
	return p;
}

static inline char *
fmt_hex16(char *p, unsigned x)
{
	static const char digit[16] = "0123456789abcdef";

	if (x >= 0x1000)
		*p++ = digit[x >> 12];
	if (x >= 0x100)
		*p++ = digit[x >> 8 & 15];
	if (x >= 0x10)
		*p++ = digit[x >> 4 & 15];
	*p++ = digit[x & 15];
	return p;
}

/* The longest run of two or more zero groups; the first of equal ones. */
static inline unsigned
fmt_zero_run(const uint16_t w[8], unsigned *ret_len)
{
	unsigned best = 8, best_len = 1;

	for (unsigned i = 0; i < 8;) {
		unsigned n = 0;

		while (i + n < 8 && w[i + n] == 0)
			n++;
		if (n > best_len) {
			best = i;
			best_len = n;
		}
		i += n + 1;
	}
	*ret_len = best == 8 ? 0 : best_len;
	return best;
}

/* RFC 5952, and like inet_ntop() the last 32 bits dotted in ::ffff:a.b.c.d and ::a.b.c.d. */
static inline char *
fmt_ip6(char *p, const uint8_t ip[16])
{
	uint16_t w[8];
	unsigned run, run_len, i = 0;
	bool dotted;

	for (unsigned k = 0; k < 8; k++)
		w[k] = (uint16_t)(ip[2 * k] << 8 | ip[2 * k + 1]);
	run = fmt_zero_run(w, &run_len);
	dotted = run == 0 && (run_len == 6 || (run_len == 5 && w[5] == 0xffff));
	while (i < (dotted ? 6u : 8u)) {
		if (i == run) {
			*p++ = ':';
			i += run_len;
			if (i == 8)
				*p++ = ':';
			continue;
		}
		if (i)
			*p++ = ':';
		p = fmt_hex16(p, w[i++]);
	}
	if (!dotted)
		return p;
	*p++ = ':';
	return fmt_ip4(p, ip + 12);
}

#endif
