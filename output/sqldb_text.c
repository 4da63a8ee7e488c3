/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sqldb_text.c - PGSQL and MYSQL: waiting, values and statements as text. */
#include "sqldb.h"

#include <errno.h>
#include <poll.h>
#include <strings.h>

void
sqldb_expect(struct sqldb *s, uint64_t msec)
{
	s->until_ms = ctf_mono_ms() + msec;
}

int
sqldb_wait(struct sqldb *s, int fd, short events)
{
	uint64_t now = ctf_mono_ms();
	int left = now < s->until_ms ? (int)(s->until_ms - now) : 0, r;
	struct pollfd p = { fd, events, 0 };

	if (left == 0)
		return -ETIMEDOUT;
	if (!s->probing) {
		r = ctf_wait(s->obj.ctx, fd, events, left);
		return r ? r : -ETIMEDOUT;
	}
	do
		r = poll(&p, 1, left);
	while (r < 0 && errno == EINTR);
	return r > 0 ? p.revents : r < 0 ? -errno : -ETIMEDOUT;
}

/* ---- statements ------------------------------------------------------------- */

/* ulogd2 writes CALL before any text that begins with these letters. */
enum sqldb_call
sqldb_call(const char *procedure, const char **ret_name)
{
	bool spaced = procedure[0] && strcspn(procedure, " \t") < strlen(procedure);

	*ret_name = procedure;
	if (strcasecmp(procedure, "INSERT") == 0 || strncasecmp(procedure, "INSERT ", 7) == 0)
		return SQLDB_INSERT;
	if (strncasecmp(procedure, "CALL", 4) != 0)
		return SQLDB_SELECT;
	if (spaced && strcspn(procedure, " \t") == 4)
		*ret_name = procedure + 4 + strspn(procedure + 4, " \t");
	return SQLDB_CALL;
}

/* ---- values ----------------------------------------------------------------- */

/* Bytes of the character that begins at s, or 0: it is none. */
static size_t
utf8_char(const uint8_t *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

	if (s[0] > 0xf4 || len > n || !len || !s[0])
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

void
sqldb_utf8(char *s, size_t n)
{
	size_t len;

	for (size_t i = 0; i < n; i += len) {
		len = utf8_char((const uint8_t *)s + i, n - i);
		if (!len) {
			s[i] = '?';
			len = 1;
		}
	}
}

void
sqldb_value(const struct sqldb *s, unsigned i, const struct sq_cell *cells,
	    struct sq_value *ret_value)
{
	const struct sq_column *c = &s->table.cols[i];

	ret_value->is = SQ_NULL;
	if (c->field >= 0)
		sq_column_value(c, &s->layout, cells, ret_value);
}
