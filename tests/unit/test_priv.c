/* SPDX-License-Identifier: GPL-2.0-or-later */
/* priv.c: who a user is, and what is left of root after priv_drop(). */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <pwd.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nowrite.h"
#include "priv.h"
#include "unit.h"

START_TEST(lookup)
{
	const struct passwd *pw = getpwnam("nobody");
	struct priv p = { .uid = 77 };
	char number[32];
	uid_t uid;
	gid_t gid;

	ck_assert_ptr_nonnull(pw);
	uid = pw->pw_uid; /* the next look-up overwrites it */
	gid = pw->pw_gid;
	ck_assert_int_eq(priv_lookup("nobody", &p), 0);
	ck_assert_int_eq(p.known, 1);
	ck_assert_uint_eq(p.uid, uid);
	ck_assert_uint_eq(p.gid, gid);
	ck_assert_str_eq(p.name, "nobody");
	snprintf(number, sizeof(number), "%u", (unsigned)uid);
	ck_assert_int_eq(priv_lookup(number, &p), 0);
	ck_assert_str_eq(p.name, "nobody");
	ck_assert_uint_eq(p.gid, gid);
	ck_assert_int_eq(priv_lookup("4000000001", &p), 0); /* nobody has it */
	ck_assert_uint_eq(p.uid, 4000000001u);
	ck_assert_uint_eq(p.gid, 4000000001u);
}
END_TEST

static const char *const nobodies[] = {
	"no-such-user", "", "-1", "12x", " 1", "+1", "4294967295", "99999999999999999999"
};

START_TEST(unknown)
{
	struct priv p = { .uid = 77 };

	ck_assert_int_eq(priv_lookup(nobodies[_i], &p), -ENOENT);
	ck_assert_uint_eq(p.uid, 77); /* untouched */
}
END_TEST

/* ---- as root ---- */

/* A number in /proc/thread-self/status, in that base. */
static unsigned long
status(const char *key, int base)
{
	char line[256];
	FILE *f = fopen("/proc/thread-self/status", "r");
	unsigned long n = ~0ul;

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			n = strtoul(line + strlen(key) + 1, NULL, base);
	if (f)
		fclose(f);
	return n;
}

struct other {
	sem_t dropped;
	unsigned long eff, prm, nnp, uid;
};

/* A sink's thread: it was there before the drop. */
static void *
other_thread(void *arg)
{
	struct other *o = arg;

	sem_wait(&o->dropped);
	priv_drop_thread();
	o->eff = status("CapEff", 16);
	o->prm = status("CapPrm", 16);
	o->nnp = status("NoNewPrivs", 10);
	o->uid = status("Uid", 10);
	return NULL;
}

#define EXPECT(x) \
	do { \
		if (!(x)) { \
			fprintf(stderr, "%d: %s\n", __LINE__, #x); \
			_exit(1); \
		} \
	} while (0)

static void
check_main(const struct priv *p)
{
	const unsigned long kept = 1ul << CAP_NET_ADMIN | p->keep;
	gid_t groups[1];

	EXPECT(geteuid() == p->uid && getuid() == p->uid);
	EXPECT(getegid() == p->gid && getgid() == p->gid);
	EXPECT(getgroups(1, groups) == 1 && groups[0] == p->gid);
	EXPECT(status("CapEff", 16) == kept);
	EXPECT(status("CapPrm", 16) == kept);
	EXPECT(status("CapInh", 16) == 0);
	EXPECT(status("NoNewPrivs", 10) == 1);
	EXPECT(setuid(0) < 0 && seteuid(0) < 0);
	EXPECT(open("priv.secret", O_RDONLY) < 0 && errno == EACCES);
	EXPECT(chown("priv.secret", p->uid, p->gid) < 0 && errno == EPERM);
}

static bool
has_landlock(void)
{
#ifdef SYS_landlock_create_ruleset
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0; /* its version */
#else
	return false;
#endif
}

/* Files can be made, and moved, as before; what is the kernel's cannot be written. */
static void
check_files(void)
{
	int fd = open("priv.from/file", O_CREAT | O_WRONLY, 0600);

	EXPECT(fd >= 0 && write(fd, "x", 1) == 1);
	EXPECT(rename("priv.from/file", "priv.to/file") == 0);
	EXPECT(open("priv.to/file", O_WRONLY | O_TRUNC) >= 0);
	EXPECT(open("/dev/null", O_WRONLY) >= 0);
	EXPECT(open("/proc/self/stat", O_RDONLY) >= 0);
	if (has_landlock())
		EXPECT(open("/proc/self/comm", O_WRONLY) < 0 && errno == EACCES);
	EXPECT(unlink("priv.to/file") == 0);
}

static void
child(uint64_t keep)
{
	struct other o = { .eff = 1 };
	struct priv p;
	pthread_t t;

	EXPECT(priv_lookup("nobody", &p) == 0);
	p.keep = keep;
	EXPECT(sem_init(&o.dropped, 0, 0) == 0);
	EXPECT(pthread_create(&t, NULL, other_thread, &o) == 0);
	EXPECT(priv_drop(&p) == 0);
	check_main(&p);
	check_files();
	sem_post(&o.dropped);
	pthread_join(t, NULL);
	EXPECT(o.uid == p.uid);
	EXPECT(o.eff == 0 && o.prm == 0);
	EXPECT(o.nnp == 1);
	_exit(0);
}

/* Its own child, since there is no way back; the test itself stays root. */
START_TEST(drop)
{
	int fd, st;
	pid_t pid;

	static const uint64_t keep[] = { 0, UINT64_C(1) << CAP_NET_BROADCAST };
	uint64_t need = keep[_i] | UINT64_C(1) << CAP_NET_ADMIN;

	if (geteuid() != 0 || (status("CapEff", 16) & need) != need) {
		printf("not root with these capabilities: not tested\n");
		return;
	}
	fd = open("priv.secret", O_CREAT | O_RDWR, 0600);
	ck_assert_int_ge(fd, 0);
	fchmod(fd, 0600);
	close(fd);
	ck_assert_int_eq(mkdir("priv.from", 0777) | chmod("priv.from", 0777), 0);
	ck_assert_int_eq(mkdir("priv.to", 0777) | chmod("priv.to", 0777), 0);
	pid = fork();
	if (pid == 0)
		child(keep[_i]);
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	unlink("priv.secret");
	rmdir("priv.from");
	rmdir("priv.to");
	ck_assert_int_eq(st, 0);
}
END_TEST

/* The groups of a user are its own: a log folder may be open to one of them. */
static void
child_in_groups(void)
{
	struct priv p;
	gid_t want[64], have[64];
	int n = 64, k;

	EXPECT(priv_lookup("daemon", &p) == 0);
	EXPECT(getgrouplist("daemon", p.gid, want, &n) >= 0);
	EXPECT(priv_drop(&p) == 0);
	k = getgroups(64, have);
	EXPECT(k == n);
	_exit(0);
}

START_TEST(groups)
{
	pid_t pid;
	int st;

	if (geteuid() != 0 || !(status("CapEff", 16) >> CAP_NET_ADMIN & 1) ||
	    !getpwnam("daemon"))
		return;
	pid = fork();
	if (pid == 0)
		child_in_groups();
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(st, 0);
}
END_TEST

/* ---- nowrite.c ---- */

#define ROOT "priv.root"

static int
writes(int at, const char *path)
{
	int fd = openat(at, path, O_CREAT | O_WRONLY, 0600);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? errno : 0;
}

/* Whatever lies in /: a link is no way round, and a file stays one that can be written. */
static void
child_in_root(void)
{
	EXPECT(chroot(ROOT) == 0 && chdir("/") == 0);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(nowrite_lock() == 0);
	EXPECT(writes(AT_FDCWD, "/etc/new") == 0);
	EXPECT(writes(AT_FDCWD, "/file") == 0);
	EXPECT(writes(AT_FDCWD, "/new") == EACCES);
	EXPECT(writes(AT_FDCWD, "/proc/new") == EACCES);
	EXPECT(writes(AT_FDCWD, "/link/new") == EACCES);
	_exit(0);
}

/* Nothing is locked when a folder would be that should not. */
static void
child_without_rule(void)
{
	int etc;

	EXPECT(chroot(ROOT) == 0 && chdir("/") == 0 && chmod("/", 0444) == 0);
	etc = open("/etc", O_PATH | O_DIRECTORY);
	EXPECT(etc >= 0 && setresuid(12345, 12345, 12345) == 0);
	EXPECT(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	EXPECT(nowrite_lock() == -EACCES);
	EXPECT(writes(etc, "new") == 0);
	_exit(0);
}

START_TEST(folders_of_root)
{
	static void (*const child_of[])(void) = { child_in_root, child_without_rule };
	static const char *const folders[] = { ROOT, ROOT "/etc", ROOT "/proc", ROOT "/sys" };
	/* A file is made, though it must not be written. */
	static const char *const files[] = { ROOT "/etc/new", ROOT "/file", ROOT "/link",
					     ROOT "/new", ROOT "/proc/new" };
	pid_t pid;
	int st;

	if (geteuid() != 0 || !has_landlock())
		return;
	for (int i = 0; i < COUNT(folders); i++)
		ck_assert_int_eq(mkdir(folders[i], 0777) | chmod(folders[i], 0777), 0);
	ck_assert_int_eq(writes(AT_FDCWD, ROOT "/file") | symlink("proc", ROOT "/link"), 0);
	pid = fork();
	if (pid == 0)
		child_of[_i]();
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	for (int i = 0; i < COUNT(files); i++)
		unlink(files[i]);
	for (int i = COUNT(folders) - 1; i >= 0; i--)
		rmdir(folders[i]);
	ck_assert_int_eq(st, 0);
}
END_TEST

/* As in a container: root without CAP_NET_ADMIN can still become somebody else. */
static void
child_without_net_admin(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct priv p;

	EXPECT(priv_lookup("nobody", &p) == 0);
	EXPECT(syscall(SYS_capget, &head, data) == 0);
	data[0].effective &= ~(1u << CAP_NET_ADMIN);
	data[0].permitted &= ~(1u << CAP_NET_ADMIN);
	EXPECT(syscall(SYS_capset, &head, data) == 0);
	EXPECT(priv_drop(&p) == 0);
	EXPECT(geteuid() == p.uid);
	EXPECT(status("CapEff", 16) == 0 && status("CapPrm", 16) == 0);
	_exit(0);
}

START_TEST(without_net_admin)
{
	pid_t pid;
	int st;

	if (geteuid() != 0)
		return;
	pid = fork();
	if (pid == 0)
		child_without_net_admin();
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(st, 0);
}
END_TEST

START_TEST(without_rights_it_fails)
{
	struct priv p;
	pid_t pid;
	int st;

	if (geteuid() != 0)
		return;
	pid = fork();
	if (pid == 0) {
		EXPECT(priv_lookup("nobody", &p) == 0);
		EXPECT(setuid(p.uid) == 0);
		_exit(priv_drop(&p) == -EPERM ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &st, 0), pid);
	ck_assert_int_eq(st, 0);
}
END_TEST

static void
add_tests(TCase *t)
{
	tcase_add_test(t, lookup);
	tcase_add_loop_test(t, unknown, 0, COUNT(nobodies));
	tcase_add_loop_test(t, drop, 0, 2);
	tcase_add_test(t, groups);
	tcase_add_loop_test(t, folders_of_root, 0, 2);
	tcase_add_test(t, without_net_admin);
	tcase_add_test(t, without_rights_it_fails);
}

/* Without root all of them but the first two return at once. */
int
main(void)
{
	int code = unit_main("priv", add_tests);

	if (code || geteuid() == 0)
		return code;
	printf("SKIP: giving up root needs root; the rest passed\n");
	return 77;
}
