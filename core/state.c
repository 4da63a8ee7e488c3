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

#define FORMAT 1u
#define IDLE_MAX 32u /* starts that nobody asked for a block: it goes */
#define ALIGN 64u
#define BLOCK_MAGIC 0x6b636f6cu

static const char magic[8] = "ctfstate";

struct head {
	char magic[8];
	uint32_t format, size; /* of this struct */
	char boot_id[40];
	char conf[192]; /* the end of its path, for a human being */
	uint64_t sum;   /* of the above */
};

struct block {
	_Atomic uint32_t magic;
	uint32_t size, name_len;
	_Atomic uint32_t idle; /* starts since it was asked for; not in the sum */
	uint64_t sum;          /* of size, name_len and the name */
	_Atomic uint64_t spare;
	/* the name, then, aligned, `size` bytes of data */
};

struct state {
	pthread_mutex_t lock;
	struct state_file file;
	size_t used;
	uint8_t *old; /* the file of the earlier run, if its processes may live */
	size_t old_len;
	bool same_boot, said_full;
	char path[PATH_MAX];
};

static uint64_t
head_sum(const struct head *h)
{
	return ctf_hash(CTF_HASH, h, offsetof(struct head, sum));
}

static uint64_t
block_sum(const struct block *b, const char *name)
{
	uint64_t h = ctf_hash(CTF_HASH, &b->size, sizeof(b->size));

	h = ctf_hash(h, &b->name_len, sizeof(b->name_len));
	return ctf_hash(h, name, b->name_len);
}

static size_t
aligned(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static size_t
data_at(size_t name_len)
{
	return aligned(sizeof(struct block) + name_len);
}

static size_t
block_len(const struct block *b)
{
	return data_at(b->name_len) + aligned(b->size);
}

static char *
block_name(struct block *b)
{
	return (char *)(b + 1);
}

/* ---- an old file's bytes ---- */

/* The block at `at`; NULL when none begins there or it is damaged. */
static struct block *
block_at(uint8_t *p, size_t len, size_t at)
{
	struct block *b = (struct block *)(p + at);

	if (at > len || len - at < sizeof(*b) || b->magic != BLOCK_MAGIC)
		return NULL;
	if (b->size > STATE_MAX || b->name_len > STATE_MAX || block_len(b) > len - at)
		return NULL;
	return b->sum == block_sum(b, block_name(b)) ? b : NULL;
}

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
	size_t at = aligned(sizeof(struct head));
	struct block *b;

	for (; (b = block_at(old, len, at)); at += block_len(b)) {
		uint32_t idle = b->idle;

		if (idle == IDLE_MAX)
			continue;
		if (state_file_grow(&s->file, s->used + block_len(b)))
			return false;
		b->idle = idle < IDLE_MAX ? idle + 1 : 0;
		memcpy(s->file.map + s->used, b, block_len(b));
		s->used += block_len(b);
	}
	return at > len || all_zero(old + at, len - at);
}

static const char *
head_fault(const struct head *h, size_t len)
{
	if (len < sizeof(*h) || memcmp(h->magic, magic, sizeof(magic)) != 0)
		return "not a state page";
	if (h->format != FORMAT || h->size != sizeof(*h))
		return "of another version";
	return h->sum == head_sum(h) ? NULL : "damaged";
}

/* ---- the page ---- */

static void
write_head(struct state *s, const char *conf)
{
	struct head *h = (struct head *)s->file.map;
	size_t n = strlen(conf), skip = n < sizeof(h->conf) ? 0 : n - sizeof(h->conf) + 1;

	memcpy(h->magic, magic, sizeof(magic));
	h->format = FORMAT;
	h->size = sizeof(*h);
	ctf_boot_id(h->boot_id);
	memcpy(h->conf, conf + skip, n - skip);
	h->sum = head_sum(h);
	s->used = aligned(sizeof(*h));
}

static void
take_over(struct state *s, uint8_t *old, size_t len)
{
	const struct head *was = (const struct head *)old,
			  *is = (const struct head *)s->file.map;
	const char *fault = old ? head_fault(was, len) : "not a state page";

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
	ret = state_file_new(&s->file, path, priv, sizeof(struct head));
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

/* Its name says which configuration; the number makes it unique. */
static int
name_file(struct state *s, const char *dir, const char *conf)
{
	const char *base = strrchr(conf, '/');
	uint64_t h = ctf_hash(CTF_HASH, conf, strlen(conf));
	int n = snprintf(s->path, sizeof(s->path), "%s/%.100s-%016llx.state", dir,
			 base ? base + 1 : conf, (unsigned long long)h);

	return n < (int)sizeof(s->path) ? 0 : -ENAMETOOLONG;
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
	int ret = name_file(s, dir, conf);

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

static struct block *
find(uint8_t *map, size_t used, const char *name, size_t size)
{
	size_t len = strlen(name);
	struct block *b;

	for (size_t at = aligned(sizeof(struct head)); (b = block_at(map, used, at));
	     at += block_len(b))
		if (b->size == size && b->name_len == len &&
		    memcmp(block_name(b), name, len) == 0)
			return b;
	return NULL;
}

/* What is there under that name has another size: it is not for this version. */
static struct block *
append(struct state *s, const char *name, size_t size)
{
	struct block b = { .size = (uint32_t)size, .name_len = (uint32_t)strlen(name) };
	uint8_t *at = s->file.map + s->used;

	if (size > STATE_MAX || state_file_grow(&s->file, s->used + block_len(&b)))
		return NULL;
	b.sum = block_sum(&b, name);
	memcpy(at, &b, sizeof(b));
	memcpy(at + sizeof(b), name, b.name_len);
	/* The magic last: dying here leaves no half a block. */
	atomic_store_explicit(&((struct block *)at)->magic, BLOCK_MAGIC, memory_order_release);
	s->used += block_len(&b);
	return (struct block *)at;
}

void *
state_block(struct state *s, const char *name, size_t size, bool *ret_kept)
{
	struct block *b;
	bool kept;

	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	b = find(s->file.map, s->used, name, size);
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
	return (uint8_t *)b + data_at(b->name_len);
}

void *
state_before(const struct state *s, const char *name, size_t size)
{
	struct block *b = s && s->old ? find(s->old, s->old_len, name, size) : NULL;

	return b ? (uint8_t *)b + data_at(b->name_len) : NULL;
}

/* ---- plain memory ---- */

#define PLAIN_HEAD ALIGN

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
