/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pcap.c - reading and writing recordings of netlink messages.
 *
 * A packet is a 16-byte cooked header in network order (as nlmon's captures
 * have it) and one or more netlink messages in the order of the machine that
 * recorded them, which is also the order of the pcap headers.
 */
#include <byteswap.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>

#include "pcap.h"

#define MAGIC_USEC 0xa1b2c3d4u
#define MAGIC_NSEC 0xa1b23c4du
#define MAGIC_PCAPNG 0x0a0d0d0au
#define LINKTYPE_NETLINK 253u
#define NS_PER_SEC UINT64_C(1000000000)
#define BUFFER (64u * 1024u)
#define NEST_MAX 8 /* ctnetlink nests 3 deep */

struct file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, sigfigs, snaplen, linktype;
};

struct packet_header {
	uint32_t sec, frac, caplen, len;
};

struct cooked { /* network order */
	uint16_t type, hatype, addr_len;
	uint8_t addr[8];
	uint16_t protocol;
};
_Static_assert(sizeof(struct cooked) == 16, "no padding");

struct pcap_reader {
	int fd;
	bool swap, nsec, over;
	char *path;
	uint64_t packet;     /* number of the one read last, from 1 */
	uint64_t offset;     /* of that packet in the file */
	uint64_t next;       /* offset of what is read next */
	struct pcap_msg msg; /* of the current packet: time stamp and nsid */
	size_t at, end;      /* what is left of it in pkt */
	size_t buf_at, buf_end;
	uint8_t buf[BUFFER];
	_Alignas(8) uint8_t pkt[PCAP_MAX_PACKET];
};

/* ---- the file ------------------------------------------------------------ */

/* Returns how many of the n bytes there were, or -errno. */
static ssize_t
get(struct pcap_reader *r, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t have = r->buf_end - r->buf_at;
		ssize_t got;

		if (have > n - done)
			have = n - done;
		memcpy((uint8_t *)to + done, r->buf + r->buf_at, have);
		r->buf_at += have;
		done += have;
		if (done == n)
			break;
		got = read(r->fd, r->buf, sizeof(r->buf));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		r->buf_at = 0;
		r->buf_end = (size_t)got;
	}
	r->next += done;
	return (ssize_t)done;
}

static uint32_t
order32(const struct pcap_reader *r, uint32_t x)
{
	return r->swap ? bswap_32(x) : x;
}

static int
damage(const struct pcap_reader *r, struct ctf_err *err, int errnum, const char *what)
{
	return ctf_fail(err, errnum, "%s: packet %llu at offset %llu: %s", r->path,
			(unsigned long long)r->packet, (unsigned long long)r->offset, what);
}

static int
check_header(struct pcap_reader *r, const struct file_header *h, struct ctf_err *err)
{
	uint32_t magic = h->magic;

	if (magic == bswap_32(MAGIC_USEC) || magic == bswap_32(MAGIC_NSEC)) {
		r->swap = true;
		magic = bswap_32(magic);
	}
	if (magic == MAGIC_PCAPNG)
		return ctf_fail(err, EINVAL, "%s: pcapng; convert it with editcap -F nsecpcap",
				r->path);
	if (magic != MAGIC_USEC && magic != MAGIC_NSEC)
		return ctf_fail(err, EINVAL, "%s: not a pcap file", r->path);
	r->nsec = magic == MAGIC_NSEC;
	if ((order32(r, h->linktype) & 0xffff) != LINKTYPE_NETLINK)
		return ctf_fail(err, EINVAL, "%s: link type %u, not %u (netlink)", r->path,
				(unsigned)(order32(r, h->linktype) & 0xffff), LINKTYPE_NETLINK);
	return 0;
}

static int
open_file(struct pcap_reader *r, struct ctf_err *err)
{
	struct file_header h;
	struct stat st;
	ssize_t n;

	/* Not blocking: a FIFO must not keep us here. */
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, &st) < 0)
		return ctf_fail(err, errno, "%s: %s", r->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ctf_fail(err, EINVAL, "%s: not a regular file", r->path);
	n = get(r, &h, sizeof(h));
	if (n < 0)
		return ctf_fail(err, (int)-n, "%s: %s", r->path, strerror((int)-n));
	if ((size_t)n < sizeof(h))
		return ctf_fail(err, EINVAL, "%s: not a pcap file: only %zd bytes", r->path, n);
	return check_header(r, &h, err);
}

int
pcap_reader_open(const char *path, struct pcap_reader **ret_reader, struct ctf_err *err)
{
	struct pcap_reader *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return ctf_fail(err, ENOMEM, "%s: out of memory", path);
	r->fd = -1;
	r->path = strdup(path);
	e = r->path ? open_file(r, err) : ctf_fail(err, ENOMEM, "%s: out of memory", path);
	if (e < 0) {
		pcap_reader_close(r);
		return e;
	}
	*ret_reader = r;
	return 0;
}

void
pcap_reader_close(struct pcap_reader *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	free(r->path);
	free(r);
}

/* ---- packets -------------------------------------------------------------- */

/* 1: a packet is in pkt; 0: end of file. */
static int
read_packet(struct pcap_reader *r, struct ctf_err *err)
{
	struct packet_header h;
	ssize_t n;

	r->offset = r->next;
	r->packet++;
	n = get(r, &h, sizeof(h));
	if (n == 0)
		return 0;
	if (n < 0)
		return damage(r, err, (int)-n, strerror((int)-n));
	if ((size_t)n < sizeof(h))
		return damage(r, err, EBADMSG, "the file ends within the packet's header");
	r->end = order32(r, h.caplen);
	if (r->end > PCAP_MAX_PACKET || r->end > order32(r, h.len))
		return damage(r, err, EBADMSG, "impossible length, the file is damaged");
	n = get(r, r->pkt, r->end);
	if (n < 0)
		return damage(r, err, (int)-n, strerror((int)-n));
	if ((size_t)n < r->end)
		return damage(r, err, EBADMSG, "the file ends within the packet");
	r->msg.ns = order32(r, h.sec) * NS_PER_SEC +
		    order32(r, h.frac) * (r->nsec ? UINT64_C(1) : UINT64_C(1000));
	return 1;
}

/* Leaves at == end when nothing in the packet is for us. */
static void
open_packet(struct pcap_reader *r)
{
	struct cooked c;
	uint32_t nsid;

	r->at = r->end;
	if (r->end < sizeof(c))
		return;
	memcpy(&c, r->pkt, sizeof(c));
	if (be16toh(c.hatype) != ARPHRD_NETLINK || be16toh(c.protocol) != NETLINK_NETFILTER)
		return;
	r->msg.nsid = -1;
	if (be16toh(c.addr_len) == sizeof(nsid)) {
		memcpy(&nsid, c.addr, sizeof(nsid));
		r->msg.nsid = (int)(be32toh(nsid) & INT32_MAX);
	}
	r->at = sizeof(c);
}

static void
swap16(uint8_t *p)
{
	uint8_t x = p[0];

	p[0] = p[1];
	p[1] = x;
}

static void
swap32(uint8_t *p)
{
	uint32_t x;

	memcpy(&x, p, sizeof(x));
	x = bswap_32(x);
	memcpy(p, &x, sizeof(x));
}

/* Lengths and types only: what is in ctnetlink's attributes is network order. */
static void
swap_attrs(uint8_t *p, uint8_t *end, unsigned depth)
{
	while (end - p >= NLA_HDRLEN) {
		struct nlattr nla;

		swap16(p);
		swap16(p + 2);
		memcpy(&nla, p, sizeof(nla));
		if (nla.nla_len < NLA_HDRLEN || nla.nla_len > end - p)
			return; /* the decoder will refuse it, too */
		if (nla.nla_type & NLA_F_NESTED && depth < NEST_MAX)
			swap_attrs(p + NLA_HDRLEN, p + nla.nla_len, depth + 1);
		if (NLA_ALIGN(nla.nla_len) >= end - p)
			return;
		p += NLA_ALIGN(nla.nla_len);
	}
}

/* A message from a machine of the other byte order; n bytes are left. */
static void
swap_message(uint8_t *p, size_t n)
{
	struct nlmsghdr nlh;

	swap32(p);
	swap16(p + 4);
	swap16(p + 6);
	swap32(p + 8);
	swap32(p + 12);
	memcpy(&nlh, p, sizeof(nlh));
	if (nlh.nlmsg_len > n || NFNL_SUBSYS_ID(nlh.nlmsg_type) != NFNL_SUBSYS_CTNETLINK)
		return;
	if (nlh.nlmsg_len > NLMSG_HDRLEN + sizeof(struct nfgenmsg))
		swap_attrs(p + NLMSG_HDRLEN + sizeof(struct nfgenmsg), p + nlh.nlmsg_len, 0);
}

/*
 * The next message of the packet.  One whose header makes no sense is handed
 * out with all that is left: the packets after it are sound, and the decoder
 * counts it.
 */
static void
next_message(struct pcap_reader *r)
{
	uint8_t *p = r->pkt + r->at;
	size_t left = r->end - r->at;
	struct nlmsghdr nlh;

	r->msg.p = p;
	r->msg.len = left;
	r->at = r->end;
	if (left < NLMSG_HDRLEN)
		return;
	if (r->swap)
		swap_message(p, left);
	memcpy(&nlh, p, sizeof(nlh));
	if (nlh.nlmsg_len < NLMSG_HDRLEN || nlh.nlmsg_len > left)
		return;
	r->msg.len = nlh.nlmsg_len;
	if (NLMSG_ALIGN(nlh.nlmsg_len) < left)
		r->at = r->end - left + NLMSG_ALIGN(nlh.nlmsg_len);
}

int
pcap_reader_next(struct pcap_reader *r, struct pcap_msg *ret_msg, struct ctf_err *err)
{
	while (r->at >= r->end) {
		int n = r->over ? 0 : read_packet(r, err);

		if (n <= 0) {
			r->over = true;
			r->at = r->end = 0;
			return n;
		}
		open_packet(r);
	}
	next_message(r);
	*ret_msg = r->msg;
	return 1;
}

/* ---- writing ---------------------------------------------------------------- */

struct pcap_writer {
	int fd, error;
	off_t sound; /* all before is whole packets */
	size_t used;
	uint8_t buf[BUFFER + PCAP_MAX_PACKET + sizeof(struct packet_header)];
};

static void
append(struct pcap_writer *w, const void *p, size_t n)
{
	memcpy(w->buf + w->used, p, n);
	w->used += n;
}

int
pcap_writer_open(const char *path, struct pcap_writer **ret_writer, struct ctf_err *err)
{
	const struct file_header h = {
		MAGIC_NSEC, 2, 4, 0, 0, PCAP_MAX_PACKET, LINKTYPE_NETLINK
	};
	struct pcap_writer *w = malloc(sizeof(*w));
	struct stat st;
	int e;

	if (!w)
		return ctf_fail(err, ENOMEM, "%s: out of memory", path);
	w->error = 0;
	w->sound = 0;
	w->used = 0;
	w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0640);
	if (w->fd < 0 || fstat(w->fd, &st) < 0) {
		e = ctf_fail(err, errno, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) { /* others can block */
		e = ctf_fail(err, EINVAL, "%s: not a regular file", path);
	} else {
		append(w, &h, sizeof(h));
		e = pcap_writer_flush(w); /* a recording from its first moment */
		if (!e) {
			*ret_writer = w;
			return 0;
		}
		ctf_fail(err, -e, "%s: %s", path, strerror(-e));
	}
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	return e;
}

int
pcap_writer_put(struct pcap_writer *w, uint64_t ns, int nsid, const void *msg, size_t len)
{
	struct cooked c = { htobe16(PACKET_OUTGOING),
			    htobe16(ARPHRD_NETLINK),
			    0,
			    { 0 },
			    htobe16(NETLINK_NETFILTER) };
	uint32_t size = (uint32_t)(sizeof(c) + len), addr = htobe32((uint32_t)nsid);
	struct packet_header h = { (uint32_t)(ns / NS_PER_SEC), (uint32_t)(ns % NS_PER_SEC),
				   size, size };

	if (len > PCAP_MAX_PACKET - sizeof(c))
		return -EMSGSIZE;
	if (w->error)
		return w->error;
	if (nsid >= 0) {
		c.addr_len = htobe16(sizeof(addr));
		memcpy(c.addr, &addr, sizeof(addr));
	}
	append(w, &h, sizeof(h));
	append(w, &c, sizeof(c));
	append(w, msg, len);
	return w->used >= BUFFER ? pcap_writer_flush(w) : 0;
}

int
pcap_writer_flush(struct pcap_writer *w)
{
	size_t done = 0;

	while (!w->error && done < w->used) {
		ssize_t n = write(w->fd, w->buf + done, w->used - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			w->error = -errno;
	}
	/* A torn packet would make a reader refuse the file's end. */
	if (w->error && done && ftruncate(w->fd, w->sound) == 0)
		(void)lseek(w->fd, w->sound, SEEK_SET);
	if (!w->error)
		w->sound += (off_t)done;
	w->used = 0;
	return w->error;
}

int
pcap_writer_close(struct pcap_writer *w)
{
	int e;

	if (!w)
		return 0;
	e = pcap_writer_flush(w);
	if (close(w->fd) < 0 && !e)
		e = -errno;
	free(w);
	return e;
}
