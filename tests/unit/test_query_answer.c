/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers of a server: whole ones in any pieces, and all that can be wrong with them. */
#include <errno.h>
#include <stdlib.h>

#include "ch.h"
#include "unit.h"

#define ROWS 3u
#define COLUMNS 3u

/* As a server writes it, and what stands in it. */
static const char whole[] =
	"{\n\t\"meta\":\n\t[\n\t\t{\n\t\t\t\"name\": \"a\",\n\t\t\t\"type\": \"Int64\"\n\t\t},"
	" {\"name\":\"b\",\"type\":\"String\"}, "
	"{\"name\":\"c\",\"type\":\"Nullable(Int8)\"}\n\t],"
	"\n\n\t\"data\":\n\t[\n\t\t[\"1795238256000000000\", \"a\\\"b\\\\c\\/\\n\\u0041\", "
	"7],\n"
	"\t\t[\"-1\", \"\", null],\n\t\t[\"9223372036854775807\", \"gw\", -3]\n\t],\n\n"
	"\t\"rows\": 3,\n\n\t\"statistics\":\n\t{\n\t\t\"elapsed\": 0.00015,\n"
	"\t\t\"rows_read\": 1,\n\t\t\"bytes_read\": 1\n\t}\n}\n";
static const int64_t numbers[] = { 1795238256000000000, -1, INT64_MAX };
static const char *const texts[] = { "a\"b\\c/\nA", "", "gw" };

/* ---- a server that says what it is told ---------------------------------------- */

struct http {
	const char *at;
	size_t left;
};

static struct {
	const char *text;
	size_t len, piece;
	long status;
} said;

static struct http *
begin(const struct http_ask *ask)
{
	struct http *h = malloc(sizeof(*h));

	ck_assert_ptr_nonnull(h);
	*h = (struct http){ said.text, said.len };
	return h;
}

static ssize_t
read_some(struct http *h, void *buf, size_t size, unsigned wait_ms, char *why)
{
	size_t n = said.piece < size ? said.piece : size;

	n = n < h->left ? n : h->left;
	memcpy(buf, h->at, n);
	h->at += n;
	h->left -= n;
	return (ssize_t)n;
}

static long
status(struct http *h)
{
	return said.status;
}

static void
end(struct http *h)
{
	free(h);
}

static const struct http_module fake = { HTTP_ABI, begin, read_some, status, end };

/* How many rows there were, or -errno. */
static int
rows_of(const char *text, size_t len, size_t piece, bool *ret_right, struct ctf_err *err)
{
	struct ch ch = { .name = (char *)(uintptr_t) "server",
			 .url = (char *)(uintptr_t) "http://server/",
			 .timeout_ms = 1000,
			 .http = &fake };
	struct ch_query query = { .nsets = 0 };
	struct ch_answer *a = NULL;
	struct q q = { .format = Q_JSON };
	int more, n = 0, r;

	said.text = text;
	said.len = len;
	said.piece = piece;
	said.status = 200;
	*ret_right = true;
	ch_put(&query.sql, "SELECT 1");
	r = ch_ask(&q, &ch, &query, &a, err);
	while (r == 0 && (more = ch_row(a, COLUMNS, err)) != 0) {
		r = more < 0 ? more : 0;
		if (r < 0)
			break;
		*ret_right &= n < (int)ROWS && ch_int(a, 0) == numbers[n] && ch_cell(a, 1) &&
			      strcmp(ch_cell(a, 1), texts[n]) == 0 &&
			      ch_is_null(a, 2) == (n == 1);
		n++;
		r = ch_check(a, err);
	}
	ch_answer_free(a);
	ch_query_free(&query);
	return r < 0 ? r : n;
}

START_TEST(pieces)
{
	struct ctf_err err = { .msg = "" };
	bool right;

	for (size_t piece = 1; piece < sizeof(whole); piece++) {
		int n = rows_of(whole, sizeof(whole) - 1, piece, &right, &err);

		ck_assert_msg(n == ROWS && right, "%zu: %d %s", piece, n, err.msg);
	}
}
END_TEST

/* Whatever is missing at the end, it is no answer. */
START_TEST(cut_off)
{
	struct ctf_err err;
	bool right;

	for (size_t len = 0; len < sizeof(whole) - 2; len++) {
		err.msg[0] = '\0';
		ck_assert_int_lt(rows_of(whole, len, 4096, &right, &err), 0);
		ck_assert_msg(strstr(err.msg, "server: ") == err.msg, "%zu: %s", len, err.msg);
	}
}
END_TEST

/* Never a crash, never a row that was not sent as one that was. */
START_TEST(broken)
{
	struct ctf_err err = { .msg = "" };
	char text[sizeof(whole)];
	unsigned refused = 0;
	bool right;

	srand(20261122);
	for (unsigned i = 0; i < 20000; i++) {
		memcpy(text, whole, sizeof(text));
		for (int k = rand() % 3; k >= 0; k--)
			text[(size_t)rand() % (sizeof(text) - 1)] =
				rand() % 2 ? (char)rand() : "[]{},:\"\\0n"[rand() % 10];
		refused += rows_of(text, sizeof(text) - 1, 1 + (size_t)rand() % 300, &right,
				   &err) < 0;
	}
	ck_assert_uint_gt(refused, 5000);
}
END_TEST

static void
says(const char *text, const char *why)
{
	struct ctf_err err = { .msg = "" };
	bool right;

	ck_assert_int_lt(rows_of(text, strlen(text), 7, &right, &err), 0);
	ck_assert_msg(strstr(err.msg, why) != NULL, "%s: %s", text, err.msg);
}

START_TEST(what_is_wrong)
{
	says("{\"data\":[[1,\"\",2]],\"rows\":2}", "not whole");
	says("{\"data\":[[1,\"\",2]]}", "not");
	says("{\"rows\":0}", "not whole");
	says("{\"data\":[[1,\"\"]],\"rows\":1}", "not an answer");
	says("{\"data\":[[1,\"\",2,3]],\"rows\":1}", "not an answer");
	says("{\"data\":[[\"x\",\"\",2]],\"rows\":1}", "not what was asked for");
	says("{\"data\":[[\"99999999999999999999\",\"\",2]],\"rows\":1}", "not what was asked");
	says("{\"data\":[[1,\"\",2]],\"rows\":1}{", "not an answer");
	says("{\"data\":[[1,\"\",2],\n\t\tCode: 241, e.displayText() = DB::Exception: too much",
	     "the server says: too much");
	says("{\"data\":[[1,\"Code: 241, DB::Exception: in a word", "in a word");
	says("{\"data\":[],\"rows\":0,\"exception\":\"Code: 5. DB::Exception: late\"}", "late");
	says("Code: 60. DB::Exception: Table x.y doesn't exist", "no history");
	says("Code: 516. DB::Exception: no", "user or password refused");
	says("", "cut off");
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, pieces);
	tcase_add_test(t, cut_off);
	tcase_add_test(t, broken);
	tcase_add_test(t, what_is_wrong);
}

int
main(void)
{
	return unit_main("query_answer", add_tests);
}
