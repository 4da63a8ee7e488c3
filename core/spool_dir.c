/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool_head.h"

#define META "spool"
#define META_SIZE 48u
#define META_SLOT 512u /* two of them, written in turn: a torn one leaves the other */
#define EPOCH_MAX 0x7fffffffu
#define NAME_LONG 200u

/* ---- names ---- */

static bool
is_plain(const char *name, size_t i)
{
	return isalnum((unsigned char)name[i]) || strchr("_-:", name[i]) ||
	       (i && name[i] == '.');
}

void
spool_dir_name(const char *id, const char *plugin, char ret_name[SPOOL_DIR_NAME])
{
	char full[600];
	size_t n = 0;

	snprintf(full, sizeof(full), "%.299s:%.299s", id, plugin);
	for (size_t i = 0; full[i] && n < NAME_LONG; i++)
		if (is_plain(full, i))
			ret_name[n++] = full[i];
		else
			n += (size_t)sprintf(ret_name + n, "%%%02x", (unsigned char)full[i]);
	ret_name[n] = '\0';
	if (n >= NAME_LONG)
		sprintf(ret_name + n, "~%016llx",
			(unsigned long long)ctf_hash(CTF_HASH, full, strlen(full)));
}

/* ---- the meta file ---- */

static uint8_t *
put(uint8_t *p, uint64_t x, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++, x >>= 8)
		*p++ = (uint8_t)x;
	return p;
}

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t x = 0;

	while (bytes--)
		x = x << 8 | p[bytes];
	return x;
}

static int
meta_write(struct spool_dir *d, bool clean)
{
	uint8_t bytes[META_SIZE] = "ctfspool", *p = bytes + 8;
	off_t at;

	d->seq++;
	p = put(p, SPOOL_VERSION, 4);
	p = put(p, d->epoch, 4);
	p = put(p, d->owner.spool, 8);
	p = put(p, d->seq, 8);
	p = put(p, clean, 4);
	p = put(p, d->settled, 8);
	put(p, crc32c(0, bytes, META_SIZE - 4), 4);
	at = (off_t)(d->seq & 1) * META_SLOT;
	if (pwrite(d->meta, bytes, sizeof(bytes), at) != sizeof(bytes))
		return errno ? -errno : -EIO;
	return fsync(d->meta) || fsync(d->owner.dir) ? -errno : 0;
}

static void
meta_slot(struct spool_dir *d, const uint8_t *p)
{
	if (memcmp(p, "ctfspool", 8) != 0 || get(p + 8, 4) != SPOOL_VERSION ||
	    crc32c(0, p, META_SIZE - 4) != get(p + META_SIZE - 4, 4) ||
	    (d->known && get(p + 24, 8) < d->seq))
		return;
	d->known = true;
	d->epoch = (uint32_t)get(p + 12, 4);
	d->owner.spool = get(p + 16, 8);
	d->seq = get(p + 24, 8);
	d->clean = get(p + 32, 4) == 1;
	d->settled = get(p + 36, 8);
}

static void
meta_read(struct spool_dir *d)
{
	uint8_t p[META_SIZE];

	for (off_t slot = 0; slot < 2; slot++)
		if (pread(d->meta, p, sizeof(p), slot * META_SLOT) == sizeof(p))
			meta_slot(d, p);
}

/* POSIX, not flock(2): a forked process must not hold it after our death. */
static int
lock(int fd, pid_t *ret_pid)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_SETLK, &l) == 0)
		return 0;
	if (fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK)
		*ret_pid = l.l_pid;
	return -EBUSY;
}

/* ---- the folder ---- */

static int
own(int fd, const struct priv *p)
{
	struct stat st;

	if (!p || !p->known || geteuid() != 0)
		return 0;
	if (fstat(fd, &st) == 0 && st.st_uid == p->uid)
		return 0;
	return fchown(fd, p->uid, p->gid) ? -errno : 0;
}

static int
enter(int at, const char *name, const struct priv *priv, int *ret_fd)
{
	bool made = mkdirat(at, name, 0700) == 0;
	int fd, ret = 0;

	if (!made && errno != EEXIST)
		return -errno;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (made)
		ret = own(fd, priv);
	if (ret)
		close(fd);
	else
		*ret_fd = fd;
	return ret;
}

static uint64_t
stamp(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec;
}

static int
open_meta(struct spool_dir *d, const char *path, const struct priv *priv, struct ctf_err *err)
{
	struct stat st;
	pid_t pid = 0;
	int ret;

	d->meta = openat(d->owner.dir, META, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (d->meta < 0)
		return ctf_fail(err, errno, "spool %s: %s", path, strerror(errno));
	ret = lock(d->meta, &pid);
	if (ret)
		return ctf_fail(err, EBUSY, "spool %s: process %ld has it", path, (long)pid);
	ret = own(d->meta, priv);
	if (ret)
		return ctf_fail(err, -ret, "spool %s: cannot be given to user %s: %s", path,
				priv->name, strerror(-ret));
	meta_read(d);
	if (d->known && !fstat(d->meta, &st))
		d->since_ns = stamp(&st);
	return 0;
}

int
spool_dir_open(struct spool_dir *d, const char *top, const char *id, const char *plugin,
	       const struct priv *priv, struct ctf_err *err)
{
	char name[SPOOL_DIR_NAME], path[4400];
	int at = -1, ret;

	*d = (struct spool_dir){ .owner = { -1, 0, id, plugin }, .meta = -1 };
	ret = enter(AT_FDCWD, top, priv, &at);
	if (ret)
		return ctf_fail(err, -ret, "spool_dir %s: %s", top, strerror(-ret));
	spool_dir_name(id, plugin, name);
	snprintf(path, sizeof(path), "%.4095s/%s", top, name);
	ret = enter(at, name, priv, &d->owner.dir);
	if (!ret && own(d->owner.dir, priv))
		ret = -EACCES;
	fsync(at);
	close(at);
	ret = ret ? ctf_fail(err, -ret, "spool %s: %s", path, strerror(-ret))
		  : open_meta(d, path, priv, err);
	if (ret)
		spool_dir_close(d);
	return ret;
}

void
spool_dir_close(struct spool_dir *d)
{
	if (d->owner.dir >= 0)
		close(d->owner.dir);
	if (d->meta >= 0)
		close(d->meta);
	d->owner.dir = d->meta = -1;
}

/* ---- the segments ---- */

void
spool_list_free(struct segment *s)
{
	while (s) {
		struct segment *next = s->next;

		free(s);
		s = next;
	}
}

static int
by_first(const void *a, const void *b)
{
	const struct segment *const *x = a, *const *y = b;

	if ((*x)->first == (*y)->first)
		return (*y)->open - (*x)->open;
	return (*x)->first < (*y)->first ? -1 : 1;
}

/* One more of them; other files are left alone. */
static int
look_at(struct spool_dir *d, const char *name, const struct priv *priv, struct segment **ret)
{
	struct segment s, *copy;
	struct stat st;

	if (!segment_parse_name(name, &s) || s.last >> SPOOL_EPOCH_BITS >= EPOCH_MAX ||
	    fstatat(d->owner.dir, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
		return 0;
	if (priv && priv->known && geteuid() == 0 && st.st_uid != priv->uid &&
	    fchownat(d->owner.dir, name, priv->uid, priv->gid, AT_SYMLINK_NOFOLLOW))
		return -errno;
	s.bytes = (uint64_t)st.st_size;
	s.to_ns = stamp(&st);
	s.old = true;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = s;
	*ret = copy;
	return 0;
}

/* Ascending; of two with the same first number the complete one. */
static struct segment *
chain(struct segment **v, size_t n)
{
	struct segment *list = NULL;

	qsort(v, n, sizeof(struct segment *), by_first);
	while (n--) {
		if (list && list->first == v[n]->first) {
			free(v[n]);
			continue;
		}
		v[n]->next = list;
		list = v[n];
	}
	return list;
}

static int
list_all(struct spool_dir *d, DIR *dir, const struct priv *priv, struct segment ***v, size_t *n)
{
	const struct dirent *e;
	size_t cap = 0;

	while ((e = readdir(dir))) {
		struct segment *s = NULL, **more;
		int ret = look_at(d, e->d_name, priv, &s);

		if (ret)
			return ret;
		if (!s)
			continue;
		if (*n == cap) {
			cap = cap * 2 + 16;
			more = realloc(*v, cap * sizeof(struct segment *));
			if (!more) {
				free(s);
				return -ENOMEM;
			}
			*v = more;
		}
		(*v)[(*n)++] = s;
	}
	return 0;
}

int
spool_dir_list(struct spool_dir *d, const struct priv *priv, struct segment **ret_list)
{
	int fd = openat(d->owner.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct segment **v = NULL;
	size_t n = 0;
	int ret;

	if (!dir) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	ret = list_all(d, dir, priv, &v, &n);
	closedir(dir);
	if (!ret)
		*ret_list = n ? chain(v, n) : NULL;
	else
		while (n--)
			free(v[n]);
	free(v);
	return ret;
}

/* ---- its id and epoch ---- */

/* The id in the head of a segment; false: none of this sink. */
static bool
id_of(const struct spool_dir *d, const struct segment *s, uint64_t *ret_id)
{
	uint8_t bytes[SPOOL_HEAD_MAX + 64];
	char name[SEGMENT_NAME];
	struct spool_head h;
	struct block b;
	ssize_t n;
	int fd;

	segment_name(s, name);
	fd = openat(d->owner.dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	if (n <= 0 || block_read(bytes, (size_t)n, &b) <= 0 || b.type != BLOCK_BYTES ||
	    !spool_head_get(b.p, b.len, &h) || strcmp(h.id, d->owner.id) != 0 ||
	    strcmp(h.plugin, d->owner.plugin) != 0)
		return false;
	*ret_id = h.spool;
	return true;
}

int
spool_dir_begin(struct spool_dir *d, const struct segment *list, uint64_t above)
{
	uint64_t epoch = above >> SPOOL_EPOCH_BITS, id;

	if (epoch >= EPOCH_MAX)
		epoch = 0;
	if (!d->known && getrandom(&d->owner.spool, 8, 0) != 8)
		d->owner.spool = ctf_now();
	for (const struct segment *s = list; s; s = s->next) {
		if (!d->known && id_of(d, s, &id)) {
			d->owner.spool = id;
			d->known = true;
		}
		if (s->last >> SPOOL_EPOCH_BITS > epoch)
			epoch = s->last >> SPOOL_EPOCH_BITS;
	}
	if (d->epoch > epoch)
		epoch = d->epoch;
	if (epoch >= EPOCH_MAX)
		return -EOVERFLOW;
	d->epoch = (uint32_t)epoch + 1;
	return meta_write(d, false);
}

int
spool_dir_go_on(struct spool_dir *d)
{
	return meta_write(d, false);
}

int
spool_dir_end(struct spool_dir *d, uint64_t settled)
{
	d->settled = settled;
	return meta_write(d, true);
}
