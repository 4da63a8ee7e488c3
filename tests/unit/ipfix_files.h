/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ipfix_files.h - IPFIX with proto=file in a folder of its own, read back. */
#ifndef IPFIX_FILES_H
#define IPFIX_FILES_H

#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipfix.h"
#include "ipfix_keep.h"
#include "ipfix_walk.h"
#include "plug.h"

extern const struct ctf_plugin ctf_plugin_ipfix;

static char dir[64], path[128];
static struct plug *plug;
static struct ctf_err err;

static void
make_dir(void)
{
	strcpy(dir, "/tmp/test_ipfix_file.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/flows.ipfix", dir);
}

static void
options_for(char *options, size_t size, const char *more)
{
	snprintf(options, size, "oid=7\nproto=file\nfile=\"%s\"\n%s", path, more);
}

static void
start(const char *more)
{
	char options[300];

	options_for(options, sizeof(options), more);
	plug = plug_new(&ctf_plugin_ipfix, options);
}

static void
setup(void)
{
	make_dir();
}

static void
teardown(void)
{
	char cmd[100];

	if (plug)
		plug_free(plug);
	plug = NULL;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static struct ipfix_sink *
sink(void)
{
	return plug_sink(plug);
}

static void
flows(unsigned from, unsigned to)
{
	walk_flows(plug, from, to, -1);
}

static void
deliver(void)
{
	ck_assert_msg(plug_deliver(plug, &err) == CTF_SENT, "%s", err.msg);
}

/* What open() says of the file: an errno, or 0. */
static int
open_errno(void)
{
	int e = 0;

	ctf_plugin_ipfix.open(plug_sink(plug), &e, &err);
	if (!e)
		ctf_plugin_ipfix.close(plug_sink(plug));
	return e;
}

static const char *
in_dir(const char *name)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s/%s", dir, name);
	return text;
}

static off_t
size_of(const char *p)
{
	struct stat st;

	return stat(p, &st) ? -1 : st.st_size;
}

/* A file as a reader sees it: a session of its own with these flows. */
static void
read_file(const char *p, struct walk *w)
{
	off_t size = size_of(p);
	uint8_t *bytes = malloc((size_t)size + 1);
	int fd = open(p, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, bytes, (size_t)size), size);
	close(fd);
	*w = (struct walk){ 0 };
	walk_bytes(w, bytes, (size_t)size);
	if (!w->rest)
		keep_session(bytes, (size_t)size, KEEP_FILE);
	free(bytes);
}

static void
expect(const char *p, unsigned from, unsigned to)
{
	struct walk w;

	read_file(p, &w);
	ck_assert_uint_eq(w.rest, 0);
	ck_assert_uint_eq(w.announcements, 1);
	walk_expect(&w, from, to);
	walk_free(&w);
}

static unsigned
files(void)
{
	glob_t g;
	unsigned n;

	glob(in_dir("*"), 0, NULL, &g);
	n = (unsigned)g.gl_pathc;
	globfree(&g);
	return n;
}

#endif
