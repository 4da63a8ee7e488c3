/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a recording: reader and decoder, all fields wanted. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/ct_msg.h"
#include "pcap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_all(struct pcap_reader *r)
{
	struct ctf_err err = { "" };
	struct pcap_msg msg;
	struct rig rig;
	int n;

	rig_init(&rig, NULL, NULL);
	while ((n = pcap_reader_next(r, &msg, &err)) == 1)
		if (rig_decode(&rig, msg.p, msg.len, msg.ns, msg.nsid) == 0)
			continue;
	if (n < 0 && !strstr(err.msg, "offset"))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("fuzz_pcap", MFD_CLOEXEC);
	struct pcap_reader *r;
	struct ctf_err err = { "" };
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (pcap_reader_open(path, &r, &err) == 0) {
		read_all(r);
		pcap_reader_close(r);
	} else if (!err.msg[0]) {
		abort();
	}
	close(fd);
	return 0;
}
