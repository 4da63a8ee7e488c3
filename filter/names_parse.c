/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NAMES: the lines of its sources.  Others write these files, and devices
 * choose the names in them, so that names are cleaned: what an output puts
 * between names (blanks, quotes, commas, '=') and what is not seen (control
 * and direction characters) becomes '_'.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "names.h"

/* ---- names ---------------------------------------------------------------------- */

/* The length of the character at p, or 0: it is no UTF-8. */
static size_t
utf8(const unsigned char *p, size_t n, uint32_t *ret_c)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	uint32_t c = len < 2 ? *p : *p & (0x7fu >> len);

	if (!len || len > n || *p > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret_c = c;
	return len;
}

/* Characters that leave a line, or the eye, where they were. */
static bool
is_plain(uint32_t c)
{
	static const struct {
		uint32_t lo, hi;
	} hidden[] = {
		{ 0x7f, 0xa0 },     { 0xad, 0xad },     { 0x61c, 0x61c },
		{ 0x1680, 0x1680 }, { 0x180e, 0x180e }, { 0x2000, 0x200f },
		{ 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x3000, 0x3000 },
		{ 0xfeff, 0xfeff }, { 0xfff0, 0xffff }, { 0xe0000, 0xe0fff },
	};

	if (c < 0x80)
		return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
		       (c && c < 0x7f && strchr("-_.:/@+#%~()[]{}!*", (int)c));
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (c >= hidden[i].lo && c <= hidden[i].hi)
			return false;
	return true;
}

/* At most NAMES_LEN bytes, and no part of a character; 0: no name. */
static size_t
clean(struct names_word w, char to[NAMES_LEN])
{
	size_t n = 0;

	while (w.len && w.p[w.len - 1] == '.') /* the root's */
		w.len--;
	while (w.len) {
		uint32_t c;
		size_t len = utf8((const unsigned char *)w.p, w.len, &c);
		bool plain = len && is_plain(c);

		if (n + (plain ? len : 1) > NAMES_LEN)
			break;
		if (plain)
			memcpy(to + n, w.p, len);
		else
			to[n] = '_';
		n += plain ? len : 1;
		w.p += len ? len : 1;
		w.len -= len ? len : 1;
	}
	return n;
}

int
names_say(struct names_parser *p, const struct names_key *k, struct names_word name,
	  uint64_t until_ns, bool keep)
{
	char buf[NAMES_LEN];
	struct names_entry *e = names_set_find(p->set, k);
	int r;

	if (e && keep && e->name_len)
		return 0;
	name.len = clean(name, buf);
	name.p = buf;
	if (!e && !name.len)
		return 0;
	r = names_set_get(p->set, k, &e);
	if (r)
		return r == -ENOSPC ? 0 : r; /* counted there */
	r = names_set_name(p->set, e, name);
	e->until_ns = until_ns;
	return r;
}

/* ---- words ----------------------------------------------------------------------- */

int
names_bad(struct names_parser *p, const char *why)
{
	if (!p->bad++) {
		p->bad_line = p->line;
		snprintf(p->why, sizeof(p->why), "%s", why);
	}
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* The next word between blanks, taken off; length 0: there is none. */
struct names_word
names_next(struct names_word *rest)
{
	struct names_word w;

	while (rest->len && is_blank(*rest->p)) {
		rest->p++;
		rest->len--;
	}
	w = (struct names_word){ rest->p, 0 };
	while (rest->len && !is_blank(*rest->p)) {
		rest->p++;
		rest->len--;
		w.len++;
	}
	return w;
}

bool
names_number(struct names_word w, uint64_t *ret_x)
{
	uint64_t x = 0;

	if (!w.len || w.len > 18)
		return false;
	for (size_t i = 0; i < w.len; i++) {
		if (w.p[i] < '0' || w.p[i] > '9')
			return false;
		x = 10 * x + (uint64_t)(w.p[i] - '0');
	}
	*ret_x = x;
	return true;
}

bool
names_address(struct names_word w, bool net, struct names_key *ret_key)
{
	const char *slash = w.len ? memchr(w.p, '/', w.len) : NULL, *zone;
	struct names_key k = { .ip = { [10] = 0xff, [11] = 0xff }, .len = 128 };
	size_t n = slash ? (size_t)(slash - w.p) : w.len;
	char text[INET6_ADDRSTRLEN];
	uint64_t len = 128;
	bool v4;

	zone = n ? memchr(w.p, '%', n) : NULL;
	if (zone)
		n = (size_t)(zone - w.p);
	if (!n || n >= sizeof(text) || memchr(w.p, 0, n) || (slash && !net))
		return false;
	memcpy(text, w.p, n);
	text[n] = '\0';
	v4 = inet_pton(AF_INET, text, k.ip + 12) == 1;
	if (!v4 && inet_pton(AF_INET6, text, k.ip) != 1)
		return false;
	if (slash && !names_number((struct names_word){ slash + 1, w.len - n - 1 }, &len))
		return false;
	if (slash && (len > (v4 ? 32 : 128) || zone))
		return false;
	names_shorten(&k, (unsigned)(slash && v4 ? 96 + len : len));
	*ret_key = k;
	return true;
}

/* ---- hosts files, and plain ones --------------------------------------------------- */

static int
hosts_line(struct names_parser *p, struct names_word line, bool net)
{
	const char *comment = line.len ? memchr(line.p, '#', line.len) : NULL;
	struct names_word addr, name;
	struct names_key k;

	if (comment)
		line.len = (size_t)(comment - line.p);
	addr = names_next(&line);
	name = names_next(&line);
	if (!addr.len)
		return 0;
	if (!names_address(addr, net, &k))
		return names_bad(p, "does not begin with an address");
	if (!name.len)
		return names_bad(p, "an address without a name");
	return names_say(p, &k, name, NAMES_NEVER, true);
}

/* ---- leases -------------------------------------------------------------------------- */

static bool
is(struct names_word w, const char *text)
{
	return w.len == strlen(text) && memcmp(w.p, text, w.len) == 0;
}

static uint64_t
end_of(uint64_t seconds)
{
	return seconds < NAMES_NEVER / 1000000000u ? seconds * 1000000000u : NAMES_NEVER;
}

/*
 * dnsmasq: TIME MAC ADDRESS NAME CLIENT-ID, of IPv6 TIME IAID ADDRESS NAME DUID
 * behind "duid ...".  TIME is the end, 0: never; where there is no clock it is
 * how long the lease is for.
 */
#define CLOCK_LEAST 100000000u

static int
dnsmasq_line(struct names_parser *p, struct names_word line)
{
	struct names_word time = names_next(&line), addr, name;
	struct names_key k;
	uint64_t end;

	if (!time.len || is(time, "duid"))
		return 0;
	names_next(&line);
	addr = names_next(&line);
	name = names_next(&line);
	if (!names_number(time, &end) || !names_address(addr, false, &k) || !name.len)
		return names_bad(p, "not a lease of dnsmasq's");
	if (is(name, "*"))
		return 0;
	return names_say(p, &k, name, end < CLOCK_LEAST ? NAMES_NEVER : end_of(end), true);
}

/*
 * odhcpd: "# INTERFACE ID IAID NAME END ASSIGNED LENGTH ADDRESS/LENGTH...", IAID
 * being "ipv4" for IPv4, END -1 never, 0 over; a name that was refused begins
 * with broken\x20.  Its other lines are those of a hosts file.
 */
static int
odhcpd_state(struct names_parser *p, struct names_word line)
{
	static const char broken[] = "broken\\x20";
	struct names_word word[7], addr;
	uint64_t end = 0;
	bool v4, never;
	int r = 0;

	for (unsigned i = 0; i < sizeof(word) / sizeof(*word); i++)
		word[i] = names_next(&line);
	v4 = is(word[2], "ipv4");
	never = is(word[4], "-1");
	if (!never && !names_number(word[4], &end))
		return 0; /* a comment */
	if (is(word[3], "-") || (!never && !end) ||
	    (word[3].len >= sizeof(broken) - 1 &&
	     memcmp(word[3].p, broken, sizeof(broken) - 1) == 0))
		return 0;
	while (!r && (addr = names_next(&line)).len) {
		struct names_key k;

		if (!names_address(addr, true, &k))
			return names_bad(p, "not a state of odhcpd's");
		if (v4 && memchr(addr.p, '/', addr.len)) {
			addr.len =
				(size_t)((const char *)memchr(addr.p, '/', addr.len) - addr.p);
			names_address(addr, false, &k);
		}
		r = names_say(p, &k, word[3], never ? NAMES_NEVER : end_of(end), true);
	}
	return r;
}

static int
odhcpd_line(struct names_parser *p, struct names_word line)
{
	if (line.len && *line.p == '#')
		return odhcpd_state(p, (struct names_word){ line.p + 1, line.len - 1 });
	return hosts_line(p, line, false);
}

/* ---- a file ---------------------------------------------------------------------------- */

void
names_parse_begin(struct names_parser *p, enum names_kind kind, struct names_set *set)
{
	p->kind = kind;
	p->set = set;
	p->line = p->bad = p->bad_line = 0;
	p->len = 0;
	p->header = p->unfinished = false;
	p->why[0] = '\0';
}

static int
one_line(struct names_parser *p)
{
	struct names_word line = { p->buf, p->len };

	p->line++;
	p->len = 0;
	if (p->line == 1 && line.len >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0) {
		line.p += 3; /* a mark that editors of Windows put there */
		line.len -= 3;
	}
	switch (p->kind) {
	case NAMES_DNSMASQ:
		return dnsmasq_line(p, line);
	case NAMES_ODHCPD:
		return odhcpd_line(p, line);
	case NAMES_KEA:
		return names_kea_line(p, line);
	default:
		return hosts_line(p, line, p->kind == NAMES_FILE);
	}
}

int
names_parse(struct names_parser *p, const char *data, size_t n)
{
	int r = 0;

	while (n && !r) {
		const char *end = memchr(data, '\n', n);
		size_t len = end ? (size_t)(end - data) : n;
		size_t fits = sizeof(p->buf) - p->len < len ? sizeof(p->buf) - p->len : len;

		memcpy(p->buf + p->len, data, fits);
		p->len += fits;
		p->unfinished = !end;
		if (end)
			r = one_line(p);
		data += len + (end != NULL);
		n -= len + (end != NULL);
	}
	return r;
}

int
names_parse_end(struct names_parser *p)
{
	bool people = p->kind == NAMES_FILE || p->kind == NAMES_HOSTS;
	int r = 0;

	if (p->unfinished && people)
		r = one_line(p);
	p->len = 0;
	return r;
}
