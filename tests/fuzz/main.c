/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for libFuzzer where there is none: runs the target on each file
 * of the folders named as arguments, and on prefixes of it, since most parsers
 * that fail do so at the end of their input.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIXES 256u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From a block of exactly that size, so that a sanitizer sees each byte read beyond. */
static int
run_on(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		return -1;
	if (size)
		memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

static int
run_prefixes(const uint8_t *data, size_t size)
{
	size_t step = size / PREFIXES + 1;

	for (size_t n = 0; n < size; n += step)
		if (run_on(data, n) < 0)
			return -1;
	return run_on(data, size);
}

static int
run_file(const char *path)
{
	struct stat st;
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	int ret = -1;

	if (f && fstat(fileno(f), &st) == 0 && (data = malloc((size_t)st.st_size + 1)) &&
	    fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size)
		ret = run_prefixes(data, (size_t)st.st_size);
	if (ret < 0)
		perror(path);
	free(data);
	if (f)
		fclose(f);
	return ret;
}

/* Returns the number of files, or -1. */
static int
run_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;
	int n = 0;

	if (!d) {
		perror(folder);
		return -1;
	}
	while (n >= 0 && (e = readdir(d))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		n = run_file(path) < 0 ? -1 : n + 1;
	}
	closedir(d);
	return n;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int n = argv[i][0] == '-' ? 1 : run_folder(argv[i]); /* libFuzzer's options */

		if (n == 0)
			fprintf(stderr, "%s: empty\n", argv[i]);
		if (n <= 0)
			return 1;
	}
	return argc < 2;
}
