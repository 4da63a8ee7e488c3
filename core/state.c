/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The state page: the file, its lock, its blocks.  See state.h. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "state_file.h"
#include "state_page.h"

#define IDLE_MAX 32u /* starts that nobody asked for a block: it goes */
#define PLAIN_HEAD STATE_ALIGN

struct state {
	pthread_mutex_t lock;
	struct state_file file;
	size_t used;
	uint8_t *old; /* the file of the earlier run, if its processes may live */
	size_t old_len;
	bool same_boot, said_full;
	char path[PATH_MAX];
};

static bool
all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* Copies what is good into the new page; false: some of it was not. */
static bool
copy_blocks(struct state *s, uint8_t *old, size_t len)
{
	size_t at = state_aligned(sizeof(struct state_head));
	struct state_block *b;

	for (; (b = state_block_at(old, len, at)); at += state_block_len(b)) {
		uint32_t idle = b->idle;

		if (idle == IDLE_MAX)
			continue;
		if (state_file_grow(&s->file, s->used + state_block_len(b)))
			return false;
		b->idle = idle < IDLE_MAX ? idle + 1 : 0;
		memcpy(s->file.map + s->used, b, state_block_len(b));
		s->used += state_block_len(b);
	}
	return at > len || all_zero(old + at, len - at);
}

/* ---- the page ---- */

static void
write_head(struct state *s, const char *conf)
{
	struct state_head *h = (struct state_head *)s->file.map;
	size_t n = strlen(conf), skip = n < sizeof(h->conf) ? 0 : n - sizeof(h->conf) + 1;

	ctf_boot_id(h->boot_id);
	memcpy(h->conf, conf + skip, n - skip);
	state_head_seal(h);
	s->used = state_aligned(sizeof(*h));
}

static void
take_over(struct state *s, uint8_t *old, size_t len)
{
	const struct state_head *was = (const struct state_head *)old,
				*is = (const struct state_head *)s->file.map;
	const char *fault = old ? state_head_fault(was, len) : "not a state page";

	if (!fault) {
		s->same_boot = strcmp(was->boot_id, is->boot_id) == 0;
		if (!copy_blocks(s, old, len))
			fault = "damaged in part";
	}
	if (fault)
		log_warnx("state page %s is %s: what was lost before this start may not be "
			  "known; it is replaced",
			  s->path, fault);
}

static int
replace(struct state *s, const char *conf, const struct priv *priv, int old_fd)
{
	char path[PATH_MAX + 24];
	size_t len = 0;
	uint8_t *old = old_fd < 0 ? NULL : state_file_read(old_fd, &len);
	int ret;

	snprintf(path, sizeof(path), "%s.%ld", s->path, (long)getpid());
	ret = state_file_new(&s->file, path, priv, sizeof(struct state_head));
	if (!ret) {
		write_head(s, conf);
		if (old_fd >= 0)
			take_over(s, old, len);
		if (s->same_boot)
			s->old = state_file_map(old_fd, len);
		s->old_len = len;
		ret = state_file_name(path, s->path, old_fd >= 0);
	}
	if (ret) {
		unlink(path);
		state_file_close(&s->file);
	}
	free(old);
	return ret;
}

static int
make_dir(const char *dir, const struct priv *priv)
{
	if (mkdir(dir, 0755) == 0 && priv && priv->known && geteuid() == 0 &&
	    chown(dir, priv->uid, priv->gid))
		return -errno;
	return 0; /* or opening a file there will say why not */
}

static int
try_page(struct state *s, const char *conf, const struct priv *priv)
{
	int old = -1, ret = state_file_old(s->path, &old);

	if (ret == -ENOENT || !ret)
		ret = replace(s, conf, priv, old);
	if (old >= 0)
		close(old);
	return ret;
}

static int
open_page(struct state *s, const char *dir, const char *conf, const struct priv *priv)
{
	int ret = state_page_path(s->path, sizeof(s->path), dir, conf);

	if (!ret)
		ret = make_dir(dir, priv);
	if (!ret)
		ret = try_page(s, conf, priv);
	return ret == -EEXIST ? try_page(s, conf, priv) : ret;
}

struct state *
state_open(const char *dir, const char *conf, const struct priv *priv)
{
	struct state *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return NULL;
	s->file.fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	ret = open_page(s, dir, conf, priv);
	if (!ret)
		return s;
	if (ret != -EBUSY) {
		errno = -ret;
		log_warn("state_dir: no state page in %s, so losses are not kept over a crash",
			 dir);
	}
	state_close(s);
	return NULL;
}

void
state_close(struct state *s)
{
	if (!s)
		return;
	state_file_close(&s->file);
	if (s->old)
		munmap(s->old, s->old_len);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

bool
state_same_boot(const struct state *s)
{
	return s && s->same_boot;
}

/* ---- blocks ---- */

/* What is there under that name has another size: it is not for this version. */
static struct state_block *
append(struct state *s, const char *name, size_t size)
{
	struct state_block b = { .size = (uint32_t)size, .name_len = (uint32_t)strlen(name) };
	uint8_t *at = s->file.map + s->used;

	if (size > STATE_MAX || state_file_grow(&s->file, s->used + state_block_len(&b)))
		return NULL;
	state_block_seal(&b, name);
	memcpy(at, &b, sizeof(b));
	memcpy(at + sizeof(b), name, b.name_len);
	/* The magic last: dying here leaves no half a block. */
	atomic_store_explicit(&((struct state_block *)at)->magic, STATE_BLOCK,
			      memory_order_release);
	s->used += state_block_len(&b);
	return (struct state_block *)at;
}

void *
state_block(struct state *s, const char *name, size_t size, bool *ret_kept)
{
	struct state_block *b;
	bool kept;

	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	b = state_block_find(s->file.map, s->used, name, size);
	kept = b != NULL;
	if (!b)
		b = append(s, name, size);
	if (b)
		atomic_store(&b->idle, 0);
	else if (!s->said_full)
		log_warnx("state page %s is full: some losses are not kept over a crash",
			  s->path);
	s->said_full |= !b;
	pthread_mutex_unlock(&s->lock);
	if (!b)
		return NULL;
	*ret_kept = kept;
	return state_block_data(b);
}

void *
state_before(const struct state *s, const char *name, size_t size)
{
	struct state_block *b =
		s && s->old ? state_block_find(s->old, s->old_len, name, size) : NULL;

	return b ? state_block_data(b) : NULL;
}

/* ---- plain memory ---- */

void *
state_plain_new(struct state_plain **list, size_t size)
{
	struct state_plain *p = mmap(NULL, PLAIN_HEAD + size, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	p->size = PLAIN_HEAD + size;
	p->next = *list;
	*list = p;
	return (uint8_t *)p + PLAIN_HEAD;
}

void
state_plain_free(struct state_plain **list)
{
	struct state_plain *p;

	while ((p = *list)) {
		*list = p->next;
		munmap(p, p->size);
	}
}
