/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "status_out.h"

#include <inttypes.h>
#include <stdio.h>

#include "query.h"

static void
begin(struct json *j, const char *key)
{
	if (j->more)
		putchar(',');
	j->more = true;
	if (key) {
		q_json_text(key);
		putchar(':');
	}
}

void
json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	putchar(bracket);
	j->more = false;
}

void
json_close(struct json *j, char bracket)
{
	putchar(bracket);
	j->more = true;
}

void
json_put_text(struct json *j, const char *key, const char *text)
{
	begin(j, key);
	if (text)
		q_json_text(text);
	else
		fputs("null", stdout);
}

void
json_put_bool(struct json *j, const char *key, bool x)
{
	begin(j, key);
	fputs(x ? "true" : "false", stdout);
}

void
json_put_int(struct json *j, const char *key, int64_t x)
{
	begin(j, key);
	if (x < 0)
		fputs("null", stdout);
	else
		printf("%" PRId64, x);
}

void
json_put_real(struct json *j, const char *key, double x)
{
	begin(j, key);
	if (x < 0)
		fputs("null", stdout);
	else
		printf("%.1f", x);
}

void
json_put_ns(struct json *j, const char *key, int64_t ns)
{
	begin(j, key);
	if (ns < 0)
		fputs("null", stdout);
	else
		printf("%" PRId64 ".%03d", ns / 1000000000, (int)(ns / 1000000 % 1000));
}

void
json_put_time(struct json *j, const char *key, int64_t ns)
{
	char text[Q_TIME_TEXT];

	if (ns != Q_NEVER)
		q_time_iso(ns, text);
	json_put_text(j, key, ns == Q_NEVER ? NULL : text);
}
