/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bpf_judge.h - what a program for the event socket says of a message: by a
 * small interpreter, and by the kernel itself (a datagram socket applies a
 * program as netlink does).
 */
#ifndef BPF_JUDGE_H
#define BPF_JUDGE_H

#include <check.h>
#include <unistd.h>
#include <linux/filter.h>

#include "ct_msg.h"

/* ---- the interpreter --------------------------------------------------------- */

static inline uint16_t
bpf_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* nla_find() of the kernel: the offset of the attribute, or 0. */
static inline uint32_t
bpf_find(const struct msg *m, size_t at, size_t stop, uint32_t type)
{
	while (at + 4 <= stop) {
		size_t len = bpf_u16(m->p + at);

		if (len < 4 || at + len > stop)
			return 0;
		if ((bpf_u16(m->p + at + 2) & NLA_TYPE_MASK) == type)
			return (uint32_t)at;
		at += NLA_ALIGN(len);
	}
	return 0;
}

static inline uint32_t
bpf_find_nested(const struct msg *m, uint32_t at, uint32_t type)
{
	size_t len;

	if (at + 4 > m->len)
		return 0;
	len = bpf_u16(m->p + at);
	return at + len > m->len ? 0 : bpf_find(m, at + 4, at + len, type);
}

/* -1: beyond the message, which rejects it */
static inline int64_t
bpf_load(const struct msg *m, const struct sock_filter *i, uint32_t x, uint32_t a)
{
	uint32_t at = i->k + (BPF_MODE(i->code) == BPF_IND ? x : 0);
	size_t size = BPF_SIZE(i->code) == BPF_B ? 1 : BPF_SIZE(i->code) == BPF_H ? 2 : 4;
	uint32_t v = 0;

	if (BPF_MODE(i->code) == BPF_ABS && i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR))
		return bpf_find(m, a, m->len, x);
	if (BPF_MODE(i->code) == BPF_ABS && i->k == (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST))
		return bpf_find_nested(m, a, x);
	if (at + size > m->len)
		return -1;
	for (size_t n = 0; n < size; n++)
		v = v << 8 | m->p[at + n];
	return v;
}

static inline bool
bpf_accepts(const struct sock_filter *p, unsigned n, const struct msg *m)
{
	uint32_t a = 0, x = 0, mem[16] = { 0 };
	int64_t v;

	for (unsigned pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &p[pc];

		switch (i->code) {
		case BPF_LD | BPF_IMM:
			a = i->k;
			break;
		case BPF_LD | BPF_MEM:
			a = mem[i->k];
			break;
		case BPF_LDX | BPF_IMM:
			x = i->k;
			break;
		case BPF_ST:
			mem[i->k] = a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			ck_assert(i->k == 0 || i->k == UINT32_MAX);
			return i->k != 0;
		default:
			ck_assert_int_eq(BPF_CLASS(i->code), BPF_LD);
			v = bpf_load(m, i, x, a);
			if (v < 0)
				return false;
			a = (uint32_t)v;
		}
	}
	ck_abort_msg("ran off the end");
	return false;
}

/* ---- the kernel --------------------------------------------------------------- */

struct kernel {
	int fd[2];
};

static inline void
kernel_open(struct kernel *k)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, k->fd), 0);
}

static inline void
kernel_close(struct kernel *k)
{
	close(k->fd[0]);
	close(k->fd[1]);
}

static inline void
kernel_attach(struct kernel *k, struct sock_filter *p, unsigned n)
{
	struct sock_fprog bpf = { .len = (unsigned short)n, .filter = p };

	ck_assert_int_eq(setsockopt(k->fd[1], SOL_SOCKET, SO_ATTACH_FILTER, &bpf, sizeof(bpf)),
			 0);
}

static inline bool
kernel_accepts(struct kernel *k, const struct msg *m)
{
	uint8_t back[sizeof(m->p)];
	ssize_t len;

	ck_assert_int_eq(send(k->fd[0], m->p, m->len, 0), (ssize_t)m->len);
	len = recv(k->fd[1], back, sizeof(back), MSG_DONTWAIT);
	if (len < 0)
		return false;
	ck_assert_int_eq(len, (ssize_t)m->len); /* nothing was cut off */
	ck_assert_mem_eq(back, m->p, m->len);
	return true;
}

#endif
