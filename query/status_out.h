/* SPDX-License-Identifier: GPL-2.0-or-later */
/* status_out.h - objects within objects, to stdout; rows of one kind are q_out's. */
#ifndef CTF_QUERY_STATUS_OUT_H
#define CTF_QUERY_STATUS_OUT_H

#include <stdbool.h>
#include <stdint.h>

struct json {
	bool more; /* something stands before, at this depth */
};

/* key NULL: within an array, or the outermost. */
void json_open(struct json *, const char *key, char bracket);
void json_close(struct json *, char bracket);
void json_put_text(struct json *, const char *key, const char *text); /* NULL: null */
void json_put_bool(struct json *, const char *key, bool x);
void json_put_int(struct json *, const char *key, int64_t x); /* below 0: null */
void json_put_real(struct json *, const char *key, double x); /* the same */
void json_put_ns(struct json *, const char *key, int64_t ns); /* as seconds; the same */
void json_put_time(struct json *, const char *key, int64_t ns);

#endif
