/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static bool
is_loopback_up(int family)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = 9 };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = 9 };
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	a6.sin6_addr = in6addr_loopback;
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return false;
	r = family == AF_INET6 ? connect(fd, (struct sockaddr *)&a6, sizeof(a6))
			       : connect(fd, (struct sockaddr *)&a4, sizeof(a4));
	close(fd);
	return r == 0;
}

int
unit_main_net(int family, const char *name, void (*add)(TCase *))
{
	if (is_loopback_up(AF_INET) && is_loopback_up(family))
		return unit_main(name, add);
	printf("SKIP: needs the loopback interface%s\n",
	       family == AF_INET6 ? " with IPv6" : "");
	return 77;
}

static void
write_file(const char *path, const void *p, size_t len)
{
	FILE *f = fopen(path, "w");

	ck_assert_msg(f != NULL, "cannot write %s", path);
	ck_assert_uint_eq(fwrite(p, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
}

void
unit_write(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

const char *
unit_read(const char *path)
{
	static char text[1 << 17];
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s is missing", path);
	n = fread(text, 1, sizeof(text), f);
	ck_assert_uint_lt(n, sizeof(text));
	text[n] = '\0';
	fclose(f);
	return text;
}

double
unit_seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
unit_empty_pcap(const char *path)
{
	static const uint32_t head[6] = { 0xa1b23c4d, 4 << 16 | 2, 0, 0, 65535, 253 };

	write_file(path, head, sizeof(head));
}
