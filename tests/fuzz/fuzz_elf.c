/* SPDX-License-Identifier: GPL-2.0-or-later */
/* elfnote.c on any bytes: they are the file a plugin= line names. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ctf_err err = { 0 };
	uint32_t abi = 12345;
	char path[64];
	int fd = memfd_create("elf", MFD_CLOEXEC), ret;

	if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size))
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = elfnote_abi(path, &abi, &err);
	if (ret > 0 || (ret < 0 && (abi != 12345 || !err.msg[0])))
		abort(); /* untouched on failure, and the failure is said */
	close(fd);
	return 0;
}
