/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pcap.c: recordings of either byte order, damaged ones, full disks. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ct_msg.h"
#include "pcap.h"
#include "unit.h"

static char path[] = "/tmp/test_pcap.XXXXXX";
static struct ctf_err err;
static struct msg m;

static void
setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
teardown(void)
{
	unlink(path);
	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
}

static struct pcap_reader *
open_reader(void)
{
	struct pcap_reader *r = NULL;

	ck_assert_msg(pcap_reader_open(path, &r, &err) == 0, "%s", err.msg);
	return r;
}

/* ---- files made byte by byte, in either order -------------------------------- */

struct file {
	uint8_t p[4096];
	size_t len;
	bool big;
};

static void
put(struct file *f, uint64_t x, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		f->p[f->len++] = (uint8_t)(x >> 8 * (f->big ? n - 1 - i : i));
}

static void
put_bytes(struct file *f, const void *p, size_t n)
{
	memcpy(f->p + f->len, p, n);
	f->len += n;
}

static void
put_header(struct file *f, bool big, uint32_t magic, uint32_t linktype)
{
	f->len = 0;
	f->big = big;
	put(f, magic, 4);
	put(f, 2, 2);
	put(f, 4, 2);
	put(f, 0, 8);
	put(f, 65535, 4);
	put(f, linktype, 4);
}

static void
put_packet(struct file *f, uint32_t sec, uint32_t frac, uint32_t caplen)
{
	put(f, sec, 4);
	put(f, frac, 4);
	put(f, caplen, 4);
	put(f, caplen, 4);
	put_bytes(f, "\0\4\3\70\0\0\0\0\0\0\0\0\0\0\0\14", 16);
}

/* A DESTROY of 80 bytes: id 0x01020304, one tuple with nests in nests. */
static void
put_message(struct file *f)
{
	put(f, 80, 4);
	put(f, MSG_DESTROY, 2);
	put(f, 0, 2);
	put(f, 0, 4);
	put(f, 4711, 4);
	put_bytes(f, "\2\0\0\0", 4);
	put(f, 8, 2);
	put(f, CTA_ID, 2);
	put_bytes(f, "\1\2\3\4", 4);
	put(f, 52, 2);
	put(f, CTA_TUPLE_ORIG | NLA_F_NESTED, 2);
	put(f, 20, 2);
	put(f, CTA_TUPLE_IP | NLA_F_NESTED, 2);
	put(f, 8, 2);
	put(f, CTA_IP_V4_SRC, 2);
	put_bytes(f, "\300\0\2\1", 4);
	put(f, 8, 2);
	put(f, CTA_IP_V4_DST, 2);
	put_bytes(f, "\300\0\2\2", 4);
	put(f, 28, 2);
	put(f, CTA_TUPLE_PROTO | NLA_F_NESTED, 2);
	put(f, 5, 2);
	put(f, CTA_PROTO_NUM, 2);
	put_bytes(f, "\21\0\0\0", 4);
	put(f, 6, 2);
	put(f, CTA_PROTO_SRC_PORT, 2);
	put_bytes(f, "\1\2\0\0", 4);
	put(f, 6, 2);
	put(f, CTA_PROTO_DST_PORT, 2);
	put_bytes(f, "\0\65\0\0", 4);
}

static void
save(const struct file *f, size_t len)
{
	FILE *out = fopen(path, "w");

	ck_assert_ptr_nonnull(out);
	ck_assert_uint_eq(fwrite(f->p, 1, len, out), len);
	ck_assert_int_eq(fclose(out), 0);
}

START_TEST(either_order)
{
	static const uint32_t magics[] = { 0xa1b2c3d4, 0xa1b23c4d };
	bool nsec = _i & 1;
	struct pcap_reader *r;
	struct pcap_msg msg;
	struct rig rig;
	struct file f;

	put_header(&f, _i & 2, magics[nsec], 253);
	put_packet(&f, 1700000000, 123456, 16 + 80 + 80);
	put_message(&f);
	put_message(&f);
	save(&f, f.len);
	rig_init(&rig, NULL, NULL);
	r = open_reader();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 1);
		ck_assert_int_eq(msg.nsid, -1);
		ck_assert_uint_eq(msg.ns, 1700000000 * UINT64_C(1000000000) +
						  (nsec ? 123456 : 123456000));
		ck_assert_int_eq(rig_decode(&rig, msg.p, msg.len, msg.ns, msg.nsid), 1);
		ck_assert_uint_eq(rig_num(&rig, "ct.id"), 0x01020304);
		ck_assert_uint_eq(rig_num(&rig, "ct.portid"), 4711);
		ck_assert_mem_eq(rig_val(&rig, "orig.ip.daddr")->ip, "\300\0\2\2", 4);
		ck_assert_uint_eq(rig_num(&rig, "orig.l4.sport"), 0x0102);
		ck_assert_uint_eq(rig_num(&rig, "orig.l4.dport"), 53);
	}
	ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
	ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
	pcap_reader_close(r);
}
END_TEST

/* Damage at every byte: what was whole before is read, then one clear error. */
START_TEST(truncated)
{
	struct pcap_reader *r;
	struct pcap_msg msg;
	struct file f;
	size_t first, second;

	put_header(&f, false, 0xa1b23c4d, 253);
	first = f.len;
	put_packet(&f, 1, 0, 96);
	put_message(&f);
	second = f.len;
	put_packet(&f, 2, 0, 96);
	put_message(&f);
	for (size_t len = first; len < f.len; len++) {
		char where[100];

		save(&f, len);
		r = open_reader();
		if (len >= second)
			ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 1);
		if (len == first || len == second) {
			ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
		} else {
			ck_assert_int_eq(pcap_reader_next(r, &msg, &err), -EBADMSG);
			snprintf(where, sizeof(where), "%s: packet %d at offset %zu: ", path,
				 len > second ? 2 : 1, len > second ? second : first);
			ck_assert_msg(strncmp(err.msg, where, strlen(where)) == 0, "%s",
				      err.msg);
			ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
		}
		pcap_reader_close(r);
	}
}
END_TEST

static void
refused(const char *why)
{
	struct pcap_reader *r = NULL;

	ck_assert_int_lt(pcap_reader_open(path, &r, &err), 0);
	ck_assert_ptr_null(r);
	ck_assert_msg(strstr(err.msg, path) && strstr(err.msg, why), "%s", err.msg);
}

START_TEST(not_a_recording)
{
	struct file f;

	for (size_t len = 0; len < 24; len++) {
		put_header(&f, false, 0xa1b23c4d, 253);
		save(&f, len);
		refused("not a pcap file");
	}
	put_header(&f, true, 0xa1b23c4d, 1);
	save(&f, f.len);
	refused("link type 1");
	put_header(&f, true, 0x0a0d0d0a, 253);
	save(&f, f.len);
	refused("pcapng");
	put_header(&f, true, 0x1f8b0800, 253);
	save(&f, f.len);
	refused("not a pcap file");
	unlink(path);
	refused("No such file");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	refused("not a regular file");
	rmdir(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refused("not a regular file");
}
END_TEST

START_TEST(impossible_length)
{
	static const uint32_t lens[] = { PCAP_MAX_PACKET + 1, 0x7fffffff, 0xffffffff };
	struct pcap_reader *r;
	struct pcap_msg msg;
	struct file f;

	for (unsigned i = 0; i < 3; i++) {
		put_header(&f, true, 0xa1b2c3d4, 253);
		put_packet(&f, 1, 1, lens[i]);
		save(&f, f.len);
		r = open_reader();
		ck_assert_int_eq(pcap_reader_next(r, &msg, &err), -EBADMSG);
		ck_assert_msg(strstr(err.msg, "packet 1 at offset 24"), "%s", err.msg);
		pcap_reader_close(r);
	}
}
END_TEST

/* A damaged message spoils its packet only; other packets are passed over. */
START_TEST(odd_packets)
{
	struct pcap_reader *r;
	struct pcap_msg msg;
	struct file f;

	put_header(&f, false, 0xa1b23c4d, 253);
	put_packet(&f, 1, 0, 16 + 80 + 6);
	put_message(&f);
	put(&f, 0, 6); /* less than a header */
	put_packet(&f, 2, 0, 16 + 16);
	put(&f, 5000, 4); /* longer than its packet */
	put_bytes(&f, "\0\0\0\0\0\0\0\0\0\0\0", 12);
	put_packet(&f, 3, 0, 16); /* nothing */
	put(&f, 4, 4);            /* 5 bytes, too short to say what it is */
	put(&f, 0, 4);
	put(&f, 5, 4);
	put(&f, 5, 4);
	put_bytes(&f, "12345", 5);
	put_packet(&f, 5, 0, 96); /* NETLINK_ROUTE */
	f.p[f.len - 1] = 0;
	put_message(&f);
	put_packet(&f, 6, 0, 96); /* not netlink at all */
	f.p[f.len - 13] = 1;
	put_message(&f);
	put_packet(&f, 7, 0, 96);
	put_message(&f);
	save(&f, f.len);
	r = open_reader();
	for (unsigned i = 0; i < 4; i++) {
		static const struct {
			size_t len;
			uint64_t sec;
		} want[] = { { 80, 1 }, { 6, 1 }, { 16, 2 }, { 80, 7 } };

		ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 1);
		ck_assert_uint_eq(msg.len, want[i].len);
		ck_assert_uint_eq(msg.ns, want[i].sec * 1000000000);
	}
	ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
	pcap_reader_close(r);
}
END_TEST

/* ---- writing ------------------------------------------------------------------- */

START_TEST(written_is_read)
{
	static const int nsids[] = { -1, 0, 77, INT32_MAX };
	struct pcap_writer *w = NULL;
	struct pcap_reader *r;
	struct pcap_msg msg;

	ck_assert_int_eq(pcap_writer_open(path, &w, &err), 0);
	msg_begin(&m, MSG_NEW, MSG_CREATED, 0, AF_INET6);
	msg_u32(&m, CTA_ID, 5);
	for (uint64_t i = 0; i < 4000; i++)
		ck_assert_int_eq(pcap_writer_put(w, UINT64_C(1700000000999999999) + i,
						 nsids[i % 4], m.p, m.len),
				 0);
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, m.p, PCAP_MAX_PACKET), -EMSGSIZE);
	ck_assert_int_eq(pcap_writer_close(w), 0);
	r = open_reader();
	for (uint64_t i = 0; i < 4000; i++) {
		ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 1);
		ck_assert_uint_eq(msg.ns, UINT64_C(1700000000999999999) + i);
		ck_assert_int_eq(msg.nsid, nsids[i % 4]);
		ck_assert_uint_eq(msg.len, m.len);
		ck_assert_mem_eq(msg.p, m.p, m.len);
	}
	ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
	pcap_reader_close(r);
}
END_TEST

START_TEST(large_packets)
{
	static uint8_t big[PCAP_MAX_PACKET - 16];
	struct pcap_writer *w = NULL;
	struct pcap_reader *r;
	struct pcap_msg msg;
	uint32_t len = sizeof(big);

	memcpy(big, &len, sizeof(len));
	ck_assert_int_eq(pcap_writer_open(path, &w, &err), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pcap_writer_put(w, 1, -1, big, sizeof(big)), 0);
	ck_assert_int_eq(pcap_writer_close(w), 0);
	r = open_reader();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 1);
		ck_assert_uint_eq(msg.len, sizeof(big));
	}
	ck_assert_int_eq(pcap_reader_next(r, &msg, &err), 0);
	pcap_reader_close(r);
}
END_TEST

/* The disk is full: the error stays, and the file is whole up to its end. */
START_TEST(full_disk)
{
	struct rlimit limit = { 300000, 300000 };
	struct pcap_writer *w = NULL;
	struct pcap_reader *r;
	struct pcap_msg msg;
	unsigned n = 0;
	int e = 0;

	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(pcap_writer_open(path, &w, &err), 0);
	msg_begin(&m, MSG_DESTROY, 0, 0, AF_INET);
	for (unsigned i = 0; !e && i < 100000; i++)
		e = pcap_writer_put(w, i, -1, m.p, m.len);
	ck_assert_int_eq(e, -EFBIG);
	ck_assert_int_eq(pcap_writer_put(w, 1, -1, m.p, m.len), -EFBIG);
	ck_assert_int_eq(pcap_writer_flush(w), -EFBIG);
	ck_assert_int_eq(pcap_writer_close(w), -EFBIG);
	r = open_reader();
	while ((e = pcap_reader_next(r, &msg, &err)) == 1)
		ck_assert_uint_eq(msg.ns, n++);
	ck_assert_msg(e == 0, "%s", err.msg);
	ck_assert_uint_gt(n, 3000);
	pcap_reader_close(r);
}
END_TEST

START_TEST(unwritable)
{
	struct pcap_writer *w = NULL;

	ck_assert_int_eq(pcap_writer_open("/nonexistent/x.pcap", &w, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.msg, "/nonexistent/x.pcap"));
	ck_assert_int_lt(pcap_writer_open("/tmp", &w, &err), 0);
	ck_assert_int_lt(pcap_writer_open("/dev/null", &w, &err), 0);
	ck_assert_ptr_null(w);
	ck_assert_int_eq(pcap_writer_close(NULL), 0);
	pcap_reader_close(NULL);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, either_order, 0, 4);
	tcase_add_test(t, truncated);
	tcase_add_test(t, not_a_recording);
	tcase_add_test(t, impossible_length);
	tcase_add_test(t, odd_packets);
	tcase_add_test(t, written_is_read);
	tcase_add_test(t, large_packets);
	tcase_add_test(t, full_disk);
	tcase_add_test(t, unwritable);
}

int
main(void)
{
	return unit_main("pcap", add_tests);
}
