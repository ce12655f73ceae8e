/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a directory of cgroup v2 can be used for jobs, and how it is left by
 * those who are in it. Plain directories stand for those of the kernel; who may
 * write where, and who is whose, is played.
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
#include <sys/xattr.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"

/* ---- what is played ---- */

static char top[64];          /* where the tree is mounted */
static const char *we_are_in; /* of it */
static uid_t as;              /* our account */
static const char *denied;    /* to us; below top */
static const char *of_others; /* with this owner, group and mode: below top */
static struct stat others;
static const char *marked; /* below top */
static bool is_mounted;

static const char *below_top(int dir, const char *file)
{
    static char path[600];
    char link[32];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
    n = readlink(link, path, 500);
    assert_true(n > 0);
    path[n] = '\0';
    if (strcmp(file, ".") != 0)
        (void)snprintf(path + n, sizeof(path) - (size_t)n, "/%s", file);
    return strncmp(path, top, strlen(top)) == 0 ? path + strlen(top) : path;
}

static bool is(const char *path, const char *one)
{
    return one && strcmp(path, one) == 0;
}

static FILE *play_fopen(const char *path, const char *mode)
{
    char text[300];
    FILE *out = tmpfile();

    assert_string_equal(mode, "re");
    if (strcmp(path, "/proc/self/cgroup") == 0)
        (void)snprintf(text, sizeof(text), "0::%s\n", we_are_in);
    else
        (void)snprintf(text, sizeof(text), "30 23 0:26 / %s rw - %s none rw\n",
                       top, is_mounted ? "cgroup2" : "tmpfs");
    assert_non_null(out);
    (void)fputs(text, out);
    rewind(out);
    return out;
}

static int play_faccessat(int dir, const char *file, int how, int flags)
{
    assert_int_equal(how, W_OK);
    assert_int_equal(flags, AT_EACCESS);
    return is(below_top(dir, file), denied) ? -1 : 0;
}

static int play_fstatat(int dir, const char *file, struct stat *ret, int flags)
{
    assert_int_equal(flags, 0);
    memset(ret, 0, sizeof(*ret));
    ret->st_mode = 0755;
    if (is(below_top(dir, file), of_others))
        *ret = others;
    return 0;
}

static int play_fstatfs(int fd, struct statfs *ret)
{
    const char *path = below_top(fd, ".");

    memset(ret, 0, sizeof(*ret));
    if (*path == '\0' || *path == '/')
        ret->f_type = strncmp(path, "/tmp", 4) == 0 || strcmp(path, "/") == 0
                          ? 0
                          : 0x63677270;
    return 0;
}

static ssize_t play_getxattr(const char *path, const char *name, void *to,
                             size_t room)
{
    assert_true(room >= 1);
    if (!marked || strcmp(name, "user.delegate") != 0
        || strcmp(path + strlen(top), marked) != 0)
        return -1;
    *(char *)to = '1';
    return 1;
}

/* Even ones are children of a child of ours, which has a group and a session of
 * its own; others are of whoever started us, which is 77, and of our group. */
static int play_parent(pid_t pid, pid_t *ret)
{
    if (pid == 9999) /* it has ended */
        return -ESRCH;
    *ret = pid == 1      ? 0
           : pid == 42   ? 77
           : pid == 77   ? 1
           : pid == 100  ? 42
           : pid >= 5000 ? pid + 1 /* there is no end of them */
           : pid % 2     ? 77
                         : 100;
    return 0;
}

/* The kernel, of a directory that a process is in; and what is written. */
static bool is_crowded;
static char wrote[200];

static ssize_t play_write(int fd, const void *data, size_t length)
{
    if (strncmp(data, "+", 1) != 0)
        return write(fd, data, length);
    (void)snprintf(wrote + strlen(wrote), sizeof(wrote) - strlen(wrote),
                   "%.*s ", (int)length, (const char *)data);
    if (is_crowded && strncmp(data, "+memory", length) == 0) {
        errno = EBUSY;
        return -1;
    }
    return (ssize_t)length;
}

#define spawn_cgroup_open        its_open
#define spawn_cgroup_own         its_own
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
#define faccessat                play_faccessat
#define fstatat                  play_fstatat
#define fstatfs                  play_fstatfs
#define spawn_os_parent          play_parent
#define getpid()                 42
#define write                    play_write
#define geteuid()                as
#include "common/spawn_cgroup_linux.c"
#undef fopen
#undef geteuid
#undef write
#undef getpid

static const char *const dirs[] = {"/u",
                                   "/u/httpd",
                                   "/u/jobs",
                                   "/u/jobs/deep",
                                   "/v",
                                   "/u/own",
                                   "/u/own/mod_spawn.self"};

static const char *in_top(const char *path)
{
    static char text[200];

    (void)snprintf(text, sizeof(text), "%s%s", top, path);
    return text;
}

static int start(void **state)
{
    unsigned i;

    (void)state;
    (void)strcpy(top, "/tmp/spawn-place-XXXXXX");
    if (!mkdtemp(top))
        return -1;
    for (i = 0; i < sizeof(dirs) / sizeof(dirs[0]) - 1; i++) {
        if (mkdir(in_top(dirs[i]), 0755) < 0)
            return -1;
    }
    we_are_in = "/u/httpd";
    as = 1000;
    denied = of_others = marked = NULL;
    is_mounted = true;
    is_crowded = false;
    wrote[0] = '\0';
    memset(&others, 0, sizeof(others));
    return 0;
}

static int stop(void **state)
{
    char command[100];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf %s", top);
    return system(command);
}

/* ---- can it be used? ---- */

static void holds(const char *path, int expected, const char *lowest)
{
    int dir = open(in_top(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned before = open_count();
    char is_lowest[200] = "before";

    assert_int_equal(spawn_cgroup_holds(dir, is_lowest, sizeof(is_lowest)),
                     expected);
    assert_string_equal(is_lowest, lowest ? in_top(lowest) : "before");
    assert_int_equal(open_count(), before);
    (void)close(dir);
}

static void who_may_write_where_is_all_below_may_use_it(void **state)
{
    (void)state;
    holds("/u/jobs", 0, NULL);
    holds("/u/jobs/deep", 0, NULL);
    holds("/v", 0, NULL);
    holds("/u/httpd", 0, NULL);
    as = 0;
    holds("/u/jobs", 0, NULL);
}

static void nothing_can_be_made_where_one_may_not_write(void **state)
{
    (void)state;
    denied = "/u/jobs";
    holds("/u/jobs", -EACCES, NULL);
    holds("/u/jobs/deep", 0, NULL);
    as = 0; /* a file system that is read only */
    holds("/u/jobs", -EACCES, NULL);
}

/* The kernel asks for that of the lowest directory that has both below it. */
static void processes_move_only_below_what_one_may_write_to(void **state)
{
    (void)state;
    denied = "/u/cgroup.procs";
    holds("/u/jobs", -EPERM, "/u");
    holds("/u/jobs/deep", -EPERM, "/u");
    holds("/v", 0, NULL);
    holds("/u/httpd", 0, NULL);
    denied = "/cgroup.procs";
    holds("/u/jobs", 0, NULL);
    holds("/v", -EPERM, "");
    denied = "/u/jobs/cgroup.procs"; /* nobody is put there */
    holds("/u/jobs", 0, NULL);
    we_are_in = "/u/jobs/deep"; /* below it, or above */
    holds("/u/jobs", -EPERM, "/u/jobs");
    we_are_in = "/u";
    denied = "/u/cgroup.procs";
    holds("/u/jobs", -EPERM, "/u");
    we_are_in = "/u/jobs"; /* there */
    denied = "/u/jobs/cgroup.procs";
    holds("/u/jobs", -EPERM, "/u/jobs");
}

/* Root's spawner keeps no right to write to what is another one's. */
static void roots_spawner_writes_to_what_is_roots(void **state)
{
    (void)state;
    as = 0;
    of_others = "/u/jobs";
    others.st_uid = 1000;
    others.st_gid = 1000;
    others.st_mode = 0755;
    holds("/u/jobs", -EACCES, NULL);
    others.st_mode = 0757;
    holds("/u/jobs", 0, NULL);
    others.st_gid = 0;
    holds("/u/jobs", -EACCES, NULL);
    others.st_mode = 0775;
    holds("/u/jobs", 0, NULL);
    others.st_uid = 0;
    holds("/u/jobs", 0, NULL);
    others.st_mode = 0577;
    holds("/u/jobs", -EACCES, NULL);
    of_others = "/u/cgroup.procs";
    others.st_uid = 1000;
    others.st_mode = 0644;
    holds("/u/jobs", -EPERM, "/u");
}

static void what_cannot_be_told_is_no_reason(void **state)
{
    (void)state;
    denied = "/u/cgroup.procs";
    we_are_in = "/gone";
    holds("/u/jobs", 0, NULL);
    we_are_in = "/../outside";
    holds("/u/jobs", 0, NULL);
    we_are_in = "/u/httpd";
    is_mounted = false;
    holds("/u/jobs", 0, NULL);
    is_mounted = true;
    holds("/u/jobs", -EPERM, "/u");
}

static void why_there_is_none_is_said(void **state)
{
    (void)state;
    assert_string_equal(spawn_cgroup_why_none(-ENOENT),
                        "cgroup v2 is not mounted");
    assert_string_equal(spawn_cgroup_why_none(-EACCES),
                        "the cgroup that httpd was started in was not given to "
                        "it");
    assert_string_equal(spawn_cgroup_why_none(-ENAMETOOLONG),
                        strerror(ENAMETOOLONG));
}

/* ---- how it is left ---- */

static void put(const char *path, const char *text)
{
    int fd = open(in_top(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static const char *moved(void)
{
    static char text[64];
    int fd = open(in_top("/u/own/mod_spawn.self/cgroup.procs"),
                  O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    return text;
}

/* Files take one number over the other, and nobody goes from the list: there
 * are so many looks at it. */
static void leaves(int expected, const char *last)
{
    int dir = open(in_top("/u/own"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unsigned before = open_count();

    (void)mkdir(in_top("/u/own/mod_spawn.self"), 0755);
    put("/u/own/mod_spawn.self/cgroup.procs", "");
    assert_int_equal(spawn_cgroup_step_aside(dir), expected);
    assert_string_equal(moved(), last);
    assert_int_equal(open_count(), before);
    (void)close(dir);
}

static void who_was_started_by_us_goes(void **state)
{
    (void)state;
    put("/u/own/cgroup.procs", "");
    leaves(0, "");
    put("/u/own/cgroup.procs", "42\n");
    leaves(0, "42");
    put("/u/own/cgroup.procs", "1000\n");
    leaves(0, "1000");
    put("/u/own/cgroup.procs", "1000\n42\n100\n1002\n1004\n");
    leaves(0, "1004");
}

/* Also who has started us: a script with an httpd that is no daemon. */
static void others_stay_and_one_is_told(void **state)
{
    (void)state;
    put("/u/own/cgroup.procs", "77\n1000\n");
    leaves(77, "1000");
    put("/u/own/cgroup.procs", "1\n");
    leaves(1, "");
    put("/u/own/cgroup.procs", "1001\n");
    leaves(1001, "");
    put("/u/own/cgroup.procs", "1000\n1001\n1003\n1002\n");
    leaves(1001, "1002");
    put("/u/own/cgroup.procs", "5000\n9999\n0\n");
    leaves(5000, "");
}

static void of_what_is_ours_alone_all_go(void **state)
{
    (void)state;
    marked = "/u/own";
    put("/u/own/cgroup.procs", "1000\n1001\n");
    leaves(0, "1001");
    marked = "/u/jobs";
    leaves(1001, "1000");
}

/* A read can end within a number, where pages are larger than what is read at
 * once: what is read of it is another process's number. */
static void a_number_that_was_read_in_part_is_none(void **state)
{
    static char text[2 * ROOM];
    unsigned i;

    (void)state;
    marked = "/u/own";
    for (i = 0; i < 819; i++) /* 4095 bytes are read: all of these */
        (void)memcpy(text + (size_t)5 * i, i < 818 ? "1000\n" : "1002\n", 5);
    put("/u/own/cgroup.procs", text);
    leaves(0, "1002");
    (void)memcpy(text, "100000\n", 7); /* three bytes more than whole ones */
    for (i = 0; i < 819; i++)
        (void)memcpy(text + 7 + (size_t)5 * i, i < 817 ? "1004\n" : "7776\n",
                     5);
    put("/u/own/cgroup.procs", text);
    leaves(0, "100400");
}

/* Its number is 0 here, which the kernel would take for ours. */
static void one_of_another_pid_namespace_is_left(void **state)
{
    (void)state;
    marked = "/u/own";
    put("/u/own/cgroup.procs", "0\n");
    leaves(0, "");
    put("/u/own/cgroup.procs", "1002\n0\n");
    leaves(0, "1002");
}

static void who_is_in_it_counts_and_not_who_is_below(void **state)
{
    int dir = open(in_top("/u/own"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    (void)mkdir(in_top("/u/own/mod_spawn.self"), 0755);
    put("/u/own/mod_spawn.self/cgroup.procs", "1000\n");
    put("/u/own/cgroup.procs", "");
    assert_true(spawn_cgroup_is_empty(dir));
    put("/u/own/cgroup.procs", "1000\n");
    assert_false(spawn_cgroup_is_empty(dir));
    (void)unlink(in_top("/u/own/cgroup.procs"));
    assert_false(spawn_cgroup_is_empty(dir)); /* nobody knows */
    (void)close(dir);
}

static void a_place_for_them_is_made(void **state)
{
    int dir = open(in_top("/u/own"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;

    (void)state;
    /* in which nobody can be put */
    put("/u/own/cgroup.procs", "1000\n");
    assert_int_equal(spawn_cgroup_step_aside(dir), 1000);
    assert_int_equal(stat(in_top("/u/own/mod_spawn.self"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    (void)unlink(in_top("/u/own/cgroup.procs"));
    assert_int_equal(spawn_cgroup_step_aside(dir), -ENOENT);
    (void)rmdir(in_top("/u/own/mod_spawn.self"));
    (void)rmdir(in_top("/u/own"));
    assert_int_equal(spawn_cgroup_step_aside(dir), -ENOENT);
    (void)close(dir);
}

/* ---- what it gives ---- */

/* The others would be taken, and no process could be put below it any more. */
static void a_crowded_directory_gives_nothing(void **state)
{
    int dir = open(in_top("/u/own"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    put("/u/own/cgroup.subtree_control", "pids\n");
    assert_int_equal(spawn_cgroup_given(dir), SPAWN_CGROUP_PIDS);
    assert_string_equal(wrote, "");
    is_crowded = true;
    assert_int_equal(spawn_cgroup_controllers(dir), SPAWN_CGROUP_PIDS);
    assert_string_equal(wrote, "+memory ");
    is_crowded = false;
    wrote[0] = '\0';
    put("/u/own/cgroup.subtree_control", "cpu memory pids\n");
    assert_int_equal(spawn_cgroup_controllers(dir), SPAWN_CGROUP_ALL);
    assert_string_equal(wrote, "+memory +cpu +pids ");
    (void)close(dir);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_may_write_where_is_all_below_may_use_it),
        T(nothing_can_be_made_where_one_may_not_write),
        T(processes_move_only_below_what_one_may_write_to),
        T(roots_spawner_writes_to_what_is_roots),
        T(what_cannot_be_told_is_no_reason),
        T(why_there_is_none_is_said),
        T(who_was_started_by_us_goes),
        T(others_stay_and_one_is_told),
        T(of_what_is_ours_alone_all_go),
        T(a_number_that_was_read_in_part_is_none),
        T(one_of_another_pid_namespace_is_left),
        T(who_is_in_it_counts_and_not_who_is_below),
        T(a_place_for_them_is_made),
        T(a_crowded_directory_gives_nothing),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("cgroup_place", tests, NULL, NULL);
}
