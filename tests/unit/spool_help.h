/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames and folders for the tests of the spool. */
#ifndef CTF_TEST_SPOOL_HELP_H
#define CTF_TEST_SPOOL_HELP_H

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue.h"

/*
 * Disks of test machines are slow, and shared: a test that includes this is linked
 * with --wrap for these, and they do nothing but count, or fail when told to.
 */
struct disk {
	_Atomic int syncs, data_syncs, reads;
	_Atomic int sync_errno, write_errno; /* what they fail with */
	_Atomic int hang;                    /* writing takes for ever */
};
extern struct disk disk;
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __wrap_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __real_pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *p, size_t n, off_t at);
ssize_t __real_pread(int fd, void *p, size_t n, off_t at);
#ifndef DISK_ELSEWHERE
struct disk disk;

int
__wrap_fsync(int fd)
{
	disk.syncs++;
	errno = disk.sync_errno;
	return disk.sync_errno ? -1 : 0;
}

int
__wrap_fdatasync(int fd)
{
	disk.data_syncs++;
	return __wrap_fsync(fd);
}

ssize_t
__wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	while (disk.hang)
		usleep(1000);
	errno = disk.write_errno;
	return disk.write_errno ? -1 : __real_pwrite(fd, p, n, at);
}

ssize_t
__wrap_pread(int fd, void *p, size_t n, off_t at)
{
	disk.reads++;
	return __real_pread(fd, p, n, at);
}
#endif

/* Empties the folder and what is below it, and removes it. */
static inline void
remove_tree(const char *path)
{
	DIR *d = opendir(path);
	const struct dirent *e;
	char name[1024];

	while (d && (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%.500s/%.300s", path, e->d_name);
		if (unlink(name))
			remove_tree(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static inline const struct ctf_layout *
layout_of(unsigned which)
{
	static const struct ctf_layout layouts[] = {
		{ 100, 4, (const uint8_t *)"ids0" },
		{ 101, 5, (const uint8_t *)"ids01" },
		{ 102, 0, NULL },
	};

	return &layouts[which % 3];
}

/* A frame whose bytes are its number again and again: its length varies with it. */
static inline struct qframe *
a_frame(uint64_t number, unsigned layout)
{
	struct qframe *f = qframe_new(NULL, 2048);

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < 1 + number % 200; i++)
		ctf_frame_put(&f->f, &number, sizeof(number));
	f->f.number = number;
	f->f.recs = f->f.flows = (uint32_t)(1 + number % 7);
	f->f.first_ns = number * 1000;
	f->f.last_ns = number * 1000 + 9;
	f->f.upto = number * 10;
	f->f.layout = layout_of(layout);
	return f;
}

static inline void
is_a_frame(const struct ctf_frame *f, uint64_t number)
{
	unsigned wrong = 0;
	uint64_t x;

	ck_assert_uint_eq(f->number, number);
	ck_assert_uint_eq(f->len, 8 * (1 + number % 200));
	for (unsigned i = 0; i < f->len; i += 8) {
		memcpy(&x, f->p + i, 8);
		wrong += x != number;
	}
	ck_assert_uint_eq(wrong, 0);
	ck_assert_uint_eq(f->recs, 1 + number % 7);
	ck_assert_uint_eq(f->flows, 1 + number % 7);
	ck_assert_uint_eq(f->first_ns, number * 1000);
	ck_assert_uint_eq(f->last_ns, number * 1000 + 9);
}

#endif
