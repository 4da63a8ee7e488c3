/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers and addresses as text.  They run several times per event, hence no
 * printf() and no inet_ntop().
 */
#include <sys/socket.h>

#include <ctflow/plugin.h>

/* How many decimal digits x has. */
static unsigned
digits(uint64_t x)
{
	unsigned n = 1;

	for (; x >= 10000; x /= 10000)
		n += 4;
	return n + (x >= 10) + (x >= 100) + (x >= 1000);
}

char *
ctf_fmt_num(char *p, uint64_t x)
{
	static const char pair[] = "00010203040506070809101112131415161718192021222324"
				   "25262728293031323334353637383940414243444546474849"
				   "50515253545556575859606162636465666768697071727374"
				   "75767778798081828384858687888990919293949596979899";
	char *end = p + digits(x), *q = end;

	for (; x >= 100; x /= 100) {
		q -= 2;
		memcpy(q, pair + 2 * (x % 100), 2);
	}
	if (x >= 10)
		memcpy(p, pair + 2 * x, 2);
	else
		*p = (char)('0' + x);
	return end;
}

static char *
put_ip4(char *p, const uint8_t ip[4])
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

static char *
put_hex16(char *p, unsigned x)
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
static unsigned
zero_run(const uint16_t w[8], unsigned *ret_len)
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
static char *
put_ip6(char *p, const uint8_t ip[16])
{
	uint16_t w[8];
	unsigned run, run_len, i = 0;
	bool dotted;

	for (unsigned k = 0; k < 8; k++)
		w[k] = (uint16_t)(ip[2 * k] << 8 | ip[2 * k + 1]);
	run = zero_run(w, &run_len);
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
		p = put_hex16(p, w[i++]);
	}
	if (!dotted)
		return p;
	*p++ = ':';
	return put_ip4(p, ip + 12);
}

char *
ctf_fmt_ip(char *p, const uint8_t *ip, int family)
{
	return family == AF_INET6 ? put_ip6(p, ip) : put_ip4(p, ip);
}
