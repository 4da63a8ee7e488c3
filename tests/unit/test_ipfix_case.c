/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_case.c: what it learnt of one record is what the steps make of another. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "ipfix.h"
#include "unit.h"

#define ROUNDS 20000u
#define ROOM 4096u

static uint64_t state;
static struct ipfix_programs *fast, *slow;
static struct ctf_rec *rec;

static uint64_t
rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* One and the same, but for the second every element is asked whether it is there. */
static void
begin(bool own, bool ns)
{
	struct ipfix_form form = { .own = own, .flows = true, .ns = ns };
	unsigned slots = sizeof(struct ipfix_refs);

	state = 4711;
	fast = calloc(1, sizeof(*fast));
	slow = calloc(1, sizeof(*slow));
	rec = calloc(1, sizeof(*rec) + slots * sizeof(rec->v[0]));
	ck_assert(fast && slow && rec);
	for (unsigned i = 0; i < slots; i++)
		((ctf_ref *)&fast->refs)[i] = (ctf_ref)i;
	slow->refs = fast->refs;
	ipfix_programs_make(fast, &form);
	ipfix_programs_make(slow, &form);
	ck_assert(fast->plain);
	slow->plain = false;
}

static void
end(void)
{
	free(fast);
	free(slow);
	free(rec);
}

/* Its fields are as those of the last one, or others. */
static void
next_record(void)
{
	static const uint8_t kinds[] = { CTF_EVENT, CTF_PRESENCE, CTF_COUNTERS, CTF_DELTA };
	const struct ipfix_refs *f = &fast->refs;

	if (rnd() % 4 == 0 || !rec->family) {
		rec->set[0] = rnd() | rnd();
		rec->set[1] = 0;
		rec->family = rnd() % 2 ? AF_INET : AF_INET6;
		rec->kind = kinds[rnd() % 4];
		rec->event = rec->kind == CTF_EVENT ? CTF_DESTROY : CTF_UPDATE;
		ctf_mark_set(rec, f->saddr);
		ctf_mark_set(rec, f->daddr);
		ctf_mark_set(rec, f->proto);
	}
	for (unsigned i = 0; i < sizeof(*f) && i < 64; i++) {
		rec->v[i].u = rnd();
		memset(rec->v[i].ip + 8, (int)(rnd() & 0xff), 8);
	}
	if (rnd() % 2) { /* not translated */
		rec->v[f->rdaddr] = rec->v[f->saddr];
		rec->v[f->rsaddr] = rec->v[f->daddr];
		rec->v[f->rdport] = rec->v[f->sport];
		rec->v[f->rsport] = rec->v[f->dport];
		rec->v[f->ricmp_id] = rec->v[f->icmp_id];
	}
}

static void
compare(void)
{
	uint8_t a[ROOM], b[ROOM];
	struct ctf_frame x = { .p = a, .cap = ROOM }, y = { .p = b, .cap = ROOM };

	memset(a, 0x5a, ROOM);
	memset(b, 0xa5, ROOM);
	for (unsigned i = 0; i < ROUNDS; i++) {
		next_record();
		ck_assert_int_eq(ipfix_append(fast, rec, &x), CTF_OK);
		ck_assert_int_eq(ipfix_append(slow, rec, &y), CTF_OK);
		ck_assert_uint_eq(x.len, y.len);
		if (i % 8 != 7)
			continue;
		ipfix_finish(&x);
		ipfix_finish(&y);
		ck_assert_mem_eq(a, b, x.len);
		x.len = y.len = 0;
	}
}

START_TEST(agrees)
{
	begin(_i & 1, _i & 2);
	compare();
	end();
}
END_TEST

static void
add_tests(TCase *tc)
{
	tcase_add_loop_test(tc, agrees, 0, 4);
}

int
main(void)
{
	return unit_main("ipfix_case", add_tests);
}
