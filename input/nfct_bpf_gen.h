/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nfct_bpf_gen.h - writing classic BPF from its end to its beginning.
 *
 * All jumps of BPF go forward, conditional ones no further than 255.  Written
 * from the end, whatever is jumped to is there already, and where it is too
 * far a long jump is put in between.  So in the functions here what comes
 * last in the program comes first.
 */
#ifndef NFCT_BPF_GEN_H
#define NFCT_BPF_GEN_H

#include <ctflow/plugin.h>
#include <linux/filter.h>
#include <linux/netlink.h>

/* A place to jump to: how many instructions there are from it to the end. */
typedef unsigned bpf_place;

#define BPF_DETOURS 4u

struct bpf_prog {
	struct sock_filter *p; /* filled from its end */
	unsigned n, max;
	struct {
		bpf_place at, to; /* there is a long jump to it */
	} detour[BPF_DETOURS];
	unsigned ndetours;
};

/* Beyond max it only counts. */
bpf_place bpf_put(struct bpf_prog *, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k);
bpf_place bpf_put_k(struct bpf_prog *, uint16_t code, uint32_t k);
void bpf_jump(struct bpf_prog *, bpf_place to);
/* op: BPF_JEQ, BPF_JGT or BPF_JGE, of A and k */
void bpf_jump_if(struct bpf_prog *, uint16_t op, uint32_t k, bpf_place yes, bpf_place no);

/* A = the number of that many bits (BPF_B, BPF_H, BPF_W) in the attribute at X. */
void bpf_load(struct bpf_prog *, uint16_t size, uint32_t word);

/* A = the number: is it in the set? */
void bpf_judge_number(struct bpf_prog *, const struct ctf_set *, bpf_place yes, bpf_place no);
/* X = the attribute with the address. */
void bpf_judge_ip4(struct bpf_prog *, const struct ctf_set *, bpf_place yes, bpf_place no);
void bpf_judge_ip6(struct bpf_prog *, const struct ctf_set *, bpf_place yes, bpf_place no);

#endif
