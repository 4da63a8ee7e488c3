/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the ABI number of a module without running any of its code: dlopen()
 * would run the constructors of whatever a plugin= line happens to name.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin.h"

struct image {
	const uint8_t *p;
	size_t len;
};

static bool
inside(const struct image *im, uint64_t off, uint64_t len)
{
	return off <= im->len && len <= im->len - off;
}

/* The note a CTF_PLUGIN() module carries; see plugin.h. */
static bool
note_in(const struct image *im, uint64_t off, uint64_t len, uint32_t *ret_abi)
{
	static const char owner[8] = "ctflow";
	uint32_t w[3];

	if (len < sizeof(w) + sizeof(owner) + 4 || !inside(im, off, len))
		return false;
	memcpy(w, im->p + off, sizeof(w));
	if (w[0] != sizeof(owner) || w[1] != 4 || w[2] != 1 ||
	    memcmp(im->p + off + sizeof(w), owner, sizeof(owner)) != 0)
		return false;
	memcpy(ret_abi, im->p + off + sizeof(w) + sizeof(owner), 4);
	return true;
}

static bool
find_note(const struct image *im, uint32_t *ret_abi)
{
	ElfW(Ehdr) eh;
	ElfW(Shdr) sh;

	if (!inside(im, 0, sizeof(eh)))
		return false;
	memcpy(&eh, im->p, sizeof(eh));
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_shentsize != sizeof(sh) ||
	    eh.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32))
		return false;
	for (unsigned i = 0; i < eh.e_shnum; i++) {
		uint64_t at = eh.e_shoff + (uint64_t)i * sizeof(sh);

		if (!inside(im, at, sizeof(sh)))
			return false;
		memcpy(&sh, im->p + at, sizeof(sh));
		if (sh.sh_type == SHT_NOTE && note_in(im, sh.sh_offset, sh.sh_size, ret_abi))
			return true;
	}
	return false;
}

int
elfnote_abi(const char *path, uint32_t *ret_abi, struct ctf_err *err)
{
	struct image im = { 0 };
	struct stat st;
	bool found = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang */

	if (fd < 0 || fstat(fd, &st)) {
		int e = errno;

		if (fd >= 0)
			close(fd);
		return ctf_fail(err, e, "%s: %s", path, strerror(e));
	}
	if (S_ISREG(st.st_mode) && st.st_size > 0) {
		void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map != MAP_FAILED) {
			im = (struct image){ map, (size_t)st.st_size };
			found = find_note(&im, ret_abi);
			munmap(map, im.len);
		}
	}
	close(fd);
	if (!found)
		return ctf_fail(err, EINVAL, "%s: not a ctflowd plugin, not loaded", path);
	return 0;
}
