/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "unit.h"

int
unit_main(const char *name, void (*add)(TCase *))
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	log_open("stderr");
	add(t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

void
unit_empty_pcap(const char *path)
{
	static const uint32_t head[6] = { 0xa1b23c4d, 4 << 16 | 2, 0, 0, 65535, 253 };
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(head, sizeof(head), 1, f), 1);
	ck_assert_int_eq(fclose(f), 0);
}
