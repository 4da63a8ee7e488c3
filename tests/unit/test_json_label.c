/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON's boolean_label, and keys that appear twice upstream.  No input makes
 * such fields yet, so JSON's source is compiled in and asks us for its fields.
 */
#define ctf_want_nth test_want_nth
#define ctf_frames test_frames
#include "../../output/json.c"

#include "unit.h"

static const struct ctf_field fields[] = {
	{ "raw.label", CTF_U8, CTF_F_ULOGD, 0, 0, 0, NULL, "" },
	{ "print", CTF_TEXT, CTF_F_ULOGD, 0, 0, 0, NULL, "" },
	{ "raw.mac", CTF_BYTES, CTF_F_ULOGD, 0, 0, 0, NULL, "" },
	{ "print", CTF_TEXT, CTF_F_ULOGD, 0, 0, 0, NULL, "" },
};

int
ctf_want_nth(struct ctf_ctx *ctx, unsigned i, ctf_ref *ret_ref,
	     const struct ctf_field **ret_field, struct ctf_err *err)
{
	if (i == COUNT(fields))
		return 0;
	*ret_ref = (ctf_ref)i;
	*ret_field = &fields[i];
	return 1;
}

void
ctf_frames(struct ctf_ctx *ctx, uint32_t limit, bool sync)
{
}

/* The line made of a record with that label and two texts. */
static const char *
line_of(bool boolean_label, uint64_t label)
{
	static char buf[2000];
	struct conf conf = { .device = "d", .source = "", .boolean_label = boolean_label };
	struct json *e = calloc(1, sizeof(*e));
	struct ctf_rec *r = calloc(1, sizeof(*r) + 4 * sizeof(r->v[0]));
	struct ctf_frame f = { .p = (uint8_t *)buf, .cap = sizeof(buf) - 1 };

	e->obj.conf = &conf;
	ck_assert_int_eq(setup(e, NULL), 0);
	ctf_put_num(r, 0, label);
	ctf_put_bytes(r, 1, "first", 5);
	ctf_put_bytes(r, 2, "\1\2", 2);
	ctf_put_bytes(r, 3, "last", 4);
	ck_assert_int_eq(encode(e, r, &f), CTF_OK);
	buf[f.len] = '\0';
	release(e);
	free(e);
	free(r);
	return buf;
}

START_TEST(labels)
{
	ck_assert_str_eq(line_of(false, 1),
			 "{\"dvc\": \"d\", \"raw.label\": 1, \"print\": \"last\"}\n");
	ck_assert_str_eq(line_of(true, 1),
			 "{\"dvc\": \"d\", \"action\": \"allowed\", \"print\": \"last\"}\n");
	ck_assert_str_eq(line_of(true, 0),
			 "{\"dvc\": \"d\", \"action\": \"blocked\", \"print\": \"last\"}\n");
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, labels);
}

int
main(void)
{
	return unit_main("json_label", add_tests);
}
