/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of cgroup v2: which one is ours, what is written there and read.
 * The text of /proc and the mark's owner of a directory are played, and files
 * of a plain directory stand for the kernel's; at last it is tried on the real
 * one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"

#define DEADLINE_MS 60000

/* ---- what is played ---- */

static char plain[64];             /* a plain directory */
static int plain_fd;               /* it is open */
static const char *cgroup_text;    /* /proc/self/cgroup; NULL: there is none */
static const char *mounts_text;    /* /proc/self/mountinfo */
static const char *marked;         /* the path that has this mark, */
static const char *mark, *mark_is; /* its name and its value */
static uid_t as;                   /* our account */
static const char *may_not_write;  /* there */
static bool is_cgroup;             /* any directory */

static FILE *play_fopen(const char *path, const char *mode)
{
    const char *text = strcmp(path, "/proc/self/cgroup") == 0      ? cgroup_text
                       : strcmp(path, "/proc/self/mountinfo") == 0 ? mounts_text
                                                                   : NULL;

    int fd;

    assert_string_equal(mode, "re");
    if (!text) {
        errno = EACCES;
        return NULL;
    }
    fd = spawn_os_memfd("proc"); /* so that it is seen whether it is closed */
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fdopen(fd, mode);
}

static ssize_t play_getxattr(const char *path, const char *name, void *to,
                             size_t room)
{
    if (!marked || strcmp(path, marked) != 0 || strcmp(name, mark) != 0) {
        errno = ENODATA;
        return -1;
    }
    if (strlen(mark_is) > room) {
        errno = ERANGE;
        return -1;
    }
    memcpy(to, mark_is, strlen(mark_is));
    return (ssize_t)strlen(mark_is);
}

static int play_access(const char *path, int how)
{
    assert_int_equal(how, W_OK);
    return may_not_write && strcmp(path, may_not_write) == 0 ? -1 : 0;
}

static int play_fstatfs(int fd, struct statfs *ret)
{
    if (!is_cgroup)
        return fstatfs(fd, ret);
    memset(ret, 0, sizeof(*ret));
    ret->f_type = 0x63677270;
    return 0;
}

/* the library has its own */
#define spawn_cgroup_open        its_open
#define spawn_cgroup_own         its_is
#define spawn_cgroup_put         its_put
#define spawn_cgroup_given       its_given
#define spawn_cgroup_controllers its_controllers
#define spawn_cgroup_number      its_number
#define spawn_cgroup_usage       its_usage
#define spawn_cgroup_why_none    its_why_none
#define spawn_cgroup_holds       its_holds
#define spawn_cgroup_is_empty    its_is_empty
#define spawn_cgroup_step_aside  its_step_aside
#define fopen                    play_fopen
#define getxattr                 play_getxattr
#define access                   play_access
#define geteuid()                as
#define fstatfs                  play_fstatfs
#include "common/spawn_cgroup_linux.c"
#undef fopen
#undef getxattr
#undef access
#undef geteuid
#undef fstatfs

static void put_file(const char *name, const char *text)
{
    int fd =
        openat(plain_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static const char *file_text(const char *name)
{
    static char text[256];
    int fd = openat(plain_fd, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, text, sizeof(text) - 1);

    assert_true(n >= 0);
    text[n] = '\0';
    (void)close(fd);
    return text;
}

static int start(void **state)
{
    (void)state;
    (void)strcpy(plain, "/tmp/spawn-cgroup-XXXXXX");
    if (!mkdtemp(plain))
        return -1;
    plain_fd = open(plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cgroup_text = "0::/unit\n";
    mounts_text = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    marked = may_not_write = NULL;
    mark = mark_is = "";
    as = 0;
    is_cgroup = false;
    return plain_fd < 0 ? -1 : 0;
}

static char real[320]; /* a directory of cgroup v2; "": none */
static pid_t there;    /* our child, not yet reaped; 0: none */

/* Removes the leftovers of a test that failed, or was left out. */
static void remove_real(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    if (there > 0) {
        (void)kill(there, SIGKILL);
        (void)waitpid(there, NULL, 0);
    }
    there = 0;
    while (real[0] && rmdir(real) < 0 && errno == EBUSY
           && spawn_mono_ms() < deadline)
        (void)usleep(1000);
    real[0] = '\0';
}

static int stop(void **state)
{
    static const char *const names[] = {"file", "limits", "full",
                                        "cgroup.subtree_control"};
    unsigned i;

    (void)state;
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlinkat(plain_fd, names[i], 0);
    (void)unlinkat(plain_fd, "sub", AT_REMOVEDIR);
    remove_real();
    (void)close(plain_fd);
    return rmdir(plain);
}

/* ---- which one is ours ---- */

static void our_its_is(const char *expected)
{
    unsigned before = open_count();
    char path[256] = "before";
    int rv = spawn_cgroup_own(path, sizeof(path));

    if (rv != 0)
        fail_msg("%s: %s", expected, strerror(-rv));
    assert_string_equal(path, expected);
    assert_int_equal(open_count(), before);
}

static void there_is_none(int error)
{
    unsigned before = open_count();
    char path[256] = "before";

    assert_int_equal(spawn_cgroup_own(path, sizeof(path)), error);
    assert_string_equal(path, "before");
    assert_int_equal(open_count(), before);
}

/* Marks this path as systemd does, and it is ours. */
static void is_found(const char *cgroup, const char *mounts, const char *path)
{
    cgroup_text = cgroup;
    mounts_text = mounts;
    marked = path;
    mark = "user.delegate";
    mark_is = "1";
    our_its_is(path);
}

static void our_its_is_found_by_what_proc_says(void **state)
{
    static const char all[] =
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 none rw\n"
        "31 23 0:26 / /mnt rw - cgroup2 none rw\n";

    (void)state;
    is_found("0::/a.slice/b.service\n", all,
             "/sys/fs/cgroup/a.slice/b.service");
    is_found("9:name=systemd:/x\n1:cpu:/y\n0::/a\n", all, "/sys/fs/cgroup/a");
    is_found("0::/a\n0::/b\n", all, "/sys/fs/cgroup/a");
    is_found("0::/a", all, "/sys/fs/cgroup/a");
    /* a spawner that leaves it to jobs is below */
    is_found("0::/a/mod_spawn.self\n", all, "/sys/fs/cgroup/a");
    is_found("0::/mod_spawn.self\n", all, "/sys/fs/cgroup");
    is_found("0::/mod_spawn.self\n", "30 1 0:26 / / rw - cgroup2 none rw\n",
             "/");
    is_found("0::/a/xmod_spawn.self\n", all,
             "/sys/fs/cgroup/a/xmod_spawn.self");
    is_found("0::/a/mod_spawn.selfs\n", all,
             "/sys/fs/cgroup/a/mod_spawn.selfs");
    is_found("0::/mod_spawn.selg\n", all, "/sys/fs/cgroup/mod_spawn.selg");
}

/* As in a container. */
static void a_part_of_the_tree_may_be_mounted(void **state)
{
    (void)state;
    is_found("0::/box/unit\n", "30 23 0:26 /box /cg rw - cgroup2 none rw\n",
             "/cg/unit");
    is_found("0::/box\n", "30 23 0:26 /box /cg rw - cgroup2 none rw\n", "/cg");
    /* the part that we are in */
    is_found("0::/box/unit\n",
             "30 23 0:26 /other /one rw - cgroup2 none rw\n"
             "31 23 0:26 /bo /two rw - cgroup2 none rw\n"
             "32 23 0:26 /box /three rw - cgroup2 none rw\n",
             "/three/unit");
    marked = "/cgx/unit";
    mounts_text = "30 23 0:26 /bo /cg rw - cgroup2 none rw\n";
    there_is_none(-ENOENT);
}

static void without_cgroup_v2_there_is_none(void **state)
{
    (void)state;
    marked = "/sys/fs/cgroup/unit";
    mark = "user.delegate";
    mark_is = "1";
    our_its_is(marked);
    cgroup_text = "9:name=systemd:/unit\n10::/unit\n0:x:/unit\n";
    there_is_none(-ENOENT);
    cgroup_text = "\n";
    there_is_none(-ENOENT);
    cgroup_text = NULL;
    there_is_none(-EACCES);
    cgroup_text = "0::/unit\n";
    mounts_text = "30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw\n"
                  "31 23 0:26 / /sys/fs/cgroup rw - cgroup2x none rw\n";
    there_is_none(-ENOENT);
    mounts_text = "30 23 - cgroup2 none\n";
    there_is_none(-ENOENT);
    mounts_text = NULL;
    there_is_none(-EACCES);
}

static void our_its_was_given_to_us(void **state)
{
    (void)state;
    there_is_none(-EACCES); /* to root nothing is given by its rights */
    marked = "/sys/fs/cgroup/unit";
    mark_is = "1";
    mark = "user.delegate";
    our_its_is(marked);
    mark = "trusted.delegate";
    our_its_is(marked);
    mark = "user.other";
    there_is_none(-EACCES);
    mark = "user.delegate";
    mark_is = "0";
    there_is_none(-EACCES);
    mark_is = "";
    there_is_none(-EACCES);
    mark_is = "11";
    there_is_none(-EACCES);

    marked = NULL;
    as = 1000;
    our_its_is("/sys/fs/cgroup/unit");
    may_not_write = "/sys/fs/cgroup/unit";
    there_is_none(-EACCES);
    may_not_write = "/sys/fs/cgroup/unit/cgroup.procs";
    there_is_none(-EACCES);
}

static void the_path_has_room_or_is_none(void **state)
{
    char path[] = "before, and longer than the path";

    (void)state;
    as = 1000;
    assert_int_equal(spawn_cgroup_own(path, strlen("/sys/fs/cgroup/unit")),
                     -ENAMETOOLONG);
    assert_string_equal(path, "before, and longer than the path");
    assert_int_equal(spawn_cgroup_own(path, strlen("/sys/fs/cgroup/unit") + 1),
                     0);
    assert_string_equal(path, "/sys/fs/cgroup/unit");
}

/* ---- what is there ---- */

static void only_cgroup_v2_is_opened(void **state)
{
    unsigned before = open_count();
    int fd;

    (void)state;
    assert_int_equal(spawn_cgroup_open(plain), -EMEDIUMTYPE);
    assert_int_equal(spawn_cgroup_open("/no/such/directory"), -ENOENT);
    put_file("file", "");
    is_cgroup = true;
    assert_int_equal(spawn_cgroup_open("/proc/self/stat"), -ENOTDIR);
    assert_int_equal(open_count(), before);
    fd = spawn_cgroup_open(plain);
    assert_true(fd > 2);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
}

static int without_its_file_system(void)
{
    unsigned before = open_count();

    deny(SYS_fstatfs, EIO);
    IS(spawn_cgroup_open("/tmp") == -EIO);
    IS(open_count() == before);
    return 0;
}

static void a_file_system_that_does_not_say_is_none(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(without_its_file_system);
}

static void texts_are_written_to_files_that_are_there(void **state)
{
    unsigned before = open_count();

    (void)state;
    put_file("file", "");
    assert_int_equal(spawn_cgroup_put(plain_fd, "file", "50000 100000"), 0);
    assert_string_equal(file_text("file"), "50000 100000");
    errno = EIO;
    assert_int_equal(spawn_cgroup_put(plain_fd, "file", ""), 0);
    assert_int_equal(spawn_cgroup_put(plain_fd, "limits", "1"), -ENOENT);
    assert_int_equal(faccessat(plain_fd, "limits", F_OK, 0), -1);
    assert_int_equal(symlinkat("/dev/full", plain_fd, "full"), 0);
    assert_int_equal(spawn_cgroup_put(plain_fd, "full", "1"), -ENOSPC);
    assert_int_equal(open_count(), before);
}

static void has_number(const char *word, unsigned long long expected)
{
    unsigned long long n = 77;

    assert_int_equal(spawn_cgroup_number(plain_fd, "file", word, &n), 0);
    assert_int_equal(n, expected);
}

static void has_none(const char *file, const char *word, int error)
{
    unsigned long long n = 77;

    assert_int_equal(spawn_cgroup_number(plain_fd, file, word, &n), error);
    assert_int_equal(n, 77);
}

static void numbers_stand_behind_their_words(void **state)
{
    unsigned before = open_count();
    char long_text[6000];

    (void)state;
    put_file("file", "low 1\nooms 4\nhigh 20\noom 18446744073709551615\n");
    has_number("low", 1);
    has_number("high", 20);
    has_number("oom", UINT64_MAX);
    has_none("file", "hig", -ENODATA);
    has_none("file", "1", -ENODATA);
    has_none("limits", "low", -ENOENT);
    put_file("file", "4096\n");
    has_number("", 4096);
    put_file("file", "");
    has_none("file", "low", -ENODATA);
    assert_int_equal(mkdirat(plain_fd, "sub", 0700), 0);
    has_none("sub", "low", -EIO);
    /* the text that it has room for */
    memset(long_text, 'x', sizeof(long_text));
    memcpy(long_text, "low 5\n", 6);
    memcpy(long_text + 5000, "\nhigh 6", 8);
    put_file("file", long_text);
    has_number("low", 5);
    has_none("file", "high", -ENODATA);
    assert_int_equal(open_count(), before);
}

/* The file of the kernel changes with what is written; this one is overwritten
 * at its beginning. */
static void controllers_are_given_and_looked_at(void **state)
{
    static const struct {
        const char *text;
        unsigned expected;
    } cases[] = {{"        memory\n", SPAWN_CGROUP_MEMORY},
                 {"        cpu\n", SPAWN_CGROUP_CPU},
                 {"        pids", SPAWN_CGROUP_PIDS},
                 {"        io pids cpu memory\n",
                  SPAWN_CGROUP_MEMORY | SPAWN_CGROUP_CPU | SPAWN_CGROUP_PIDS},
                 {"        io cpuset hugetlb\n", 0},
                 {"", 0}};
    unsigned i;

    (void)state;
    assert_int_equal(spawn_cgroup_controllers(plain_fd), 0);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_file("cgroup.subtree_control", cases[i].text);
        assert_int_equal(spawn_cgroup_controllers(plain_fd), cases[i].expected);
        assert_memory_equal(file_text("cgroup.subtree_control"), "+pidsry", 7);
    }
}

/* ---- the real one ---- */

static const char *mounted_at(void)
{
    static char place[256];
    char line[1024];
    FILE *in = fopen("/proc/mounts", "re");
    bool found = false;

    while (in && !found && fgets(line, sizeof(line), in))
        found = sscanf(line, "%*s %255s cgroup2 ", place) == 1
                && strstr(line, " cgroup2 ");
    if (in)
        (void)fclose(in);
    return found ? place : NULL;
}

static int real_fd;

/* A process of its own goes there, says so and waits. False when it may not. */
static bool one_is_there(void)
{
    int ready[2];
    char is = 0;
    ssize_t n;

    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    there = fork();
    if (there == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        is = spawn_cgroup_put(real_fd, "cgroup.procs", "0") == 0 ? 'y' : 'n';
        (void)!write(ready[1], &is, 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    n = read(ready[0], &is, 1);
    (void)close(ready[0]);
    assert_true(there > 0);
    assert_int_equal(n, 1);
    return is == 'y';
}

/* It is for a moment after the last one was reaped. */
static void wait_until_empty(void)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    unsigned long long n = 77;

    do {
        assert_true(spawn_mono_ms() < deadline);
        assert_int_equal(
            spawn_cgroup_number(real_fd, "cgroup.events", "populated", &n), 0);
    } while (n != 0 && usleep(1000) == 0);
}

static void it_is_so_with_the_kernel(void **state)
{
    const char *place = mounted_at();
    unsigned long long n = 77;
    bool may;
    int status;
    pid_t pid;

    (void)state;
    LEAVE_OUT_IF(!place, "cgroup v2 is not mounted");
    (void)snprintf(real, sizeof(real), "%s/spawn-unit-XXXXXX", place);
    if (!mkdtemp(real))
        real[0] = '\0';
    LEAVE_OUT_IF(!real[0], "no directory can be made in cgroup v2");
    real_fd = spawn_cgroup_open(real);
    assert_true(real_fd > 2);
    assert_int_equal(
        spawn_cgroup_number(real_fd, "cgroup.events", "populated", &n), 0);
    assert_int_equal(n, 0);
    may = one_is_there();
    if (!may)
        (void)close(real_fd);
    LEAVE_OUT_IF(!may, "no process can be moved there");
    pid = there;
    assert_int_equal(spawn_cgroup_number(real_fd, "cgroup.procs", "", &n), 0);
    assert_int_equal(n, pid);
    if (faccessat(real_fd, "cgroup.kill", F_OK, 0) == 0)
        assert_int_equal(spawn_cgroup_put(real_fd, "cgroup.kill", "1"), 0);
    else
        assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    there = 0;
    assert_int_equal(WTERMSIG(status), SIGKILL);
    wait_until_empty();
    assert_int_equal(spawn_cgroup_put(real_fd, "cgroup.procs", "nobody"),
                     -EINVAL);
    (void)close(real_fd);
    assert_int_equal(rmdir(real), 0);
    real[0] = '\0';
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(our_its_is_found_by_what_proc_says),
        T(a_part_of_the_tree_may_be_mounted),
        T(without_cgroup_v2_there_is_none),
        T(our_its_was_given_to_us),
        T(the_path_has_room_or_is_none),
        T(only_cgroup_v2_is_opened),
        T(a_file_system_that_does_not_say_is_none),
        T(texts_are_written_to_files_that_are_there),
        T(numbers_stand_behind_their_words),
        T(controllers_are_given_and_looked_at),
        T(it_is_so_with_the_kernel),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
