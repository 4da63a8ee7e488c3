/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the main() of a test program is, and what every test may need. */
#ifndef CTF_TEST_UNIT_H
#define CTF_TEST_UNIT_H

#include <check.h>
#include <time.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* Runs what `add` adds; its messages go to stderr.  Returns the exit code. */
int unit_main(const char *name, void (*add)(TCase *));
/*
 * The same for tests over the loopback interface, of IPv4 and of that family.
 * Where it is not up, as on some build machines, they are skipped: 77.
 */
int unit_main_net(int family, const char *name, void (*add)(TCase *));

void unit_write(const char *path, const char *text);
/* What a file holds, as a string; valid until the next call. */
const char *unit_read(const char *path);
/* What that clock shows. */
double unit_seconds(clockid_t);
/* Writes a capture without a packet, for REPLAY to find. */
void unit_empty_pcap(const char *path);

#endif
