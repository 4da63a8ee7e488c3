/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_ns_name.c - the network namespaces that have an id in ours, and their
 * names.
 *
 * A name is a file of ip-netns(8)'s folder (or docker's) that can be opened;
 * the kernel answers at once which id the namespace behind it has.
 */
#include "nfct.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <libmnl/libmnl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>

#define SETTLED (2 * NFCT_SEC) /* a name is there a moment before its namespace */

static const char *const folders[] = { "/run/netns", "/run/docker/netns" };
#define FOLDERS (sizeof(folders) / sizeof(*folders))
_Static_assert(FOLDERS == sizeof(((struct nfct_ns *)0)->changed_ns) / sizeof(int64_t),
	       "one time each");

/* ---- the table ------------------------------------------------------------ */

/* Where it is, or would be. */
static unsigned
place(const struct nfct_ns *ns, int nsid)
{
	unsigned low = 0, high = ns->n;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (ns->known[mid].nsid < nsid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct nfct_ns_known *
nfct_ns_find(struct nfct_ns *ns, int nsid)
{
	if (ns->last >= ns->n || ns->known[ns->last].nsid != nsid)
		ns->last = place(ns, nsid);
	return ns->last < ns->n && ns->known[ns->last].nsid == nsid ? &ns->known[ns->last]
								    : NULL;
}

struct nfct_ns_known *
nfct_ns_get(struct nfct_ns *ns, int nsid, uint64_t now)
{
	struct nfct_ns_known *k = nfct_ns_find(ns, nsid);

	if (k)
		return k;
	if (ns->n == ns->room) {
		unsigned room = ns->room ? 2 * ns->room : 16;

		k = realloc(ns->known, room * sizeof(*k));
		if (!k)
			return NULL;
		ns->known = k;
		ns->room = room;
	}
	ns->last = place(ns, nsid);
	k = &ns->known[ns->last];
	memmove(k + 1, k, (ns->n++ - ns->last) * sizeof(*k));
	*k = (struct nfct_ns_known){ .nsid = nsid, .heard_ns = now };
	return k;
}

/* ---- questions ------------------------------------------------------------ */

int
nfct_ns_ask_open(void)
{
	struct sockaddr_nl any = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int errnum;

	if (fd < 0)
		return -errno;
	/* without a port of its own it would pass for the kernel, which hears nothing */
	if (bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		errnum = errno;
		close(fd);
		return -errnum;
	}
	return fd;
}

static int
send_question(struct nfct_ns *ns, unsigned flags, int fd)
{
	char buf[64] __attribute__((aligned(8))) = { 0 };
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct rtgenmsg *gen;

	nlh->nlmsg_type = RTM_GETNSID;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = ++ns->seq;
	gen = mnl_nlmsg_put_extra_header(nlh, sizeof(*gen));
	gen->rtgen_family = AF_UNSPEC;
	if (fd >= 0)
		mnl_attr_put_u32(nlh, NETNSA_FD, (uint32_t)fd);
	return send(ns->ask, nlh, nlh->nlmsg_len, 0) < 0 ? -errno : 0;
}

struct listing {
	void (*each)(void *arg, int nsid);
	void *arg;
};

static int
see_attr(const struct nlattr *attr, void *data)
{
	const struct listing *l = data;

	if (mnl_attr_get_type(attr) == NETNSA_NSID &&
	    mnl_attr_get_payload_len(attr) == sizeof(int32_t))
		l->each(l->arg, (int)mnl_attr_get_u32(attr));
	return MNL_CB_OK;
}

static int
see_id(const struct nlmsghdr *nlh, void *data)
{
	if (nlh->nlmsg_type != RTM_NEWNSID ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(struct rtgenmsg))
		return MNL_CB_OK;
	return mnl_attr_parse(nlh, sizeof(struct rtgenmsg), see_attr, data);
}

/* The kernel answers before send() returns. */
static int
read_answer(struct nfct_ns *ns, bool dump, struct listing *l)
{
	char buf[16384] __attribute__((aligned(8)));
	int r;

	do {
		ssize_t len = recv(ns->ask, buf, sizeof(buf), 0);
		const struct nlmsghdr *nlh = (const void *)buf;

		if (len < 0)
			return -errno;
		if ((size_t)len < sizeof(*nlh) || nlh->nlmsg_seq != ns->seq) {
			r = MNL_CB_OK; /* of a question given up */
			dump = true;
			continue;
		}
		r = mnl_cb_run(buf, (size_t)len, ns->seq, 0, see_id, l);
		if (r < 0)
			return -errno;
	} while (dump && r > MNL_CB_STOP);
	return 0;
}

int
nfct_ns_list(struct nfct_ns *ns, void (*each)(void *arg, int nsid), void *arg)
{
	struct listing l = { each, arg };
	int r = send_question(ns, NLM_F_DUMP, -1);

	return r < 0 ? r : read_answer(ns, true, &l);
}

static void
keep_id(void *arg, int nsid)
{
	*(int *)arg = nsid;
}

/* 0: *ret_nsid is the id, -1 if it has none; -errno: it is no network namespace. */
static int
id_of(struct nfct_ns *ns, int fd, int *ret_nsid)
{
	int nsid = -1, r = send_question(ns, 0, fd);
	struct listing l = { keep_id, &nsid };

	if (r == 0)
		r = read_answer(ns, false, &l);
	if (r == 0)
		*ret_nsid = nsid;
	return r;
}

void
nfct_ns_find_own(struct nfct_ns *ns)
{
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), nsid = -1;
	struct nfct_ns_known *k;
	struct stat st;

	ns->own_ino = 0;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0)
		ns->own_ino = st.st_ino;
	if (id_of(ns, fd, &nsid) == 0 && nsid >= 0) {
		k = nfct_ns_get(ns, nsid, ctf_now());
		if (k)
			k->own = true;
	}
	close(fd);
}

/* ---- names ---------------------------------------------------------------- */

static int64_t
change_of(const char *folder)
{
	struct stat st;

	if (stat(folder, &st) < 0)
		return 0;
	return (int64_t)st.st_mtim.tv_sec * (int64_t)NFCT_SEC + st.st_mtim.tv_nsec;
}

bool
nfct_ns_names_changed(const struct nfct_ns *ns)
{
	for (unsigned i = 0; i < FOLDERS; i++)
		if (change_of(folders[i]) != ns->changed_ns[i])
			return true;
	return false;
}

static void
add_word(char *list, size_t size, const char *word)
{
	size_t len = strlen(list);

	if (len + strlen(word) + 2 < size)
		snprintf(list + len, size - len, "%s%s", len ? " " : "", word);
}

/* A name and the namespace behind it, open. */
static void
see_name(struct nfct_ns *ns, const char *folder, const char *name, int fd, char *unheard,
	 size_t size)
{
	struct nfct_ns_known *k;
	struct stat st;
	int nsid = -1;

	if (fstat(fd, &st) < 0 || id_of(ns, fd, &nsid) < 0)
		return;
	if (nsid < 0) {
		if (st.st_ino != ns->own_ino)
			add_word(unheard, size, name);
		return;
	}
	k = nfct_ns_get(ns, nsid, ctf_now());
	if (!k)
		return;
	k->own = st.st_ino == ns->own_ino;
	k->ino = st.st_ino;
	if (!k->name) { /* the first of several */
		k->name = strdup(name);
		k->folder = folder;
	}
}

static void
read_folder(struct nfct_ns *ns, const char *folder, char *unheard, size_t size)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	while (d && (e = readdir(d))) {
		int fd = e->d_name[0] == '.' ? -1
					     : openat(dirfd(d), e->d_name,
						      O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0)
			continue;
		see_name(ns, folder, e->d_name, fd, unheard, size);
		close(fd);
	}
	if (d)
		closedir(d);
}

void
nfct_ns_read_names(struct nfct_ns *ns, char *unheard, size_t size)
{
	int64_t now = (int64_t)ctf_now();

	if (size)
		unheard[0] = '\0';
	for (unsigned i = 0; i < FOLDERS; i++) {
		int64_t changed = change_of(folders[i]);

		/* too young to be sure of: read again */
		ns->changed_ns[i] = now - changed < (int64_t)SETTLED ? -1 : changed;
		read_folder(ns, folders[i], unheard, size);
	}
}
