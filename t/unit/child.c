/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a job's process before it runs, taken in a process of its own
 * that looks at itself afterwards; and which step it says has failed. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_box.h"
#include "common/spawn_child.h"
#include "common/spawn_field.h"
#include "common/spawn_os.h"

/* What the child tells: in memory of both. */
static struct {
    int line; /* of what was not so; 0: all was */
    spawn_step step;
    int error;
} * told;

static spawn_writer w;
static spawn_message m;
static spawn_identity as;
static spawn_child c;
static int lifted[SPAWN_CHILD_FDS];
static char dir[] = "/tmp/spawn-child-XXXXXX";

/* A check ends the child: it also stands in what returns nothing. */
#undef IS
#define IS(what)                                                               \
    do {                                                                       \
        if (!(what)) {                                                         \
            told->line = __LINE__;                                             \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

static void step_failed(void *arg, spawn_step step, int error)
{
    IS(arg == &w);
    told->step = step;
    told->error = error;
    _exit(0);
}

static int begin(void **state)
{
    static const spawn_id id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80}};
    size_t mark;

    (void)state;
    spawn_writer_init(&w, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(&w, SPAWN_A_ID, &id);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    memset(&c, 0, sizeof(c));
    memset(told, 0, sizeof(*told));
    as.groups_count = -1;
    c.order = &m;
    c.as = &as;
    c.failed = step_failed;
    c.arg = &w;
    return 0;
}

static int end(void **state)
{
    (void)state;
    spawn_writer_free(&w);
    return 0;
}

static void (*prepare)(void), (*look)(void);

static int child(void)
{
    if (prepare)
        prepare();
    spawn_child_set_up(&c, lifted);
    look();
    return 0;
}

static void nothing(void)
{
}

static void run(const int *fds, unsigned count)
{
    int rv;

    c.fds = fds;
    assert_int_equal(spawn_writer_finish(&w, count), 0);
    assert_int_equal(spawn_message_parse(w.data, w.length, SPAWN_FROM_BRAINS,
                                         count, &m, NULL),
                     0);
    rv = in_a_child(child);
    if (rv != 0)
        fail_msg("child.c:%d: not so in the child (%d)", told->line, rv);
}

/* All steps are taken and then it is as look() says. */
static void sets_up(const int *fds, unsigned count, void (*before)(void),
                    void (*after)(void))
{
    prepare = before;
    look = after;
    run(fds, count);
    if (told->step)
        fail_msg("step %s failed: %s", spawn_step_name(told->step),
                 strerror(told->error));
}

static void fails(const int *fds, unsigned count, void (*before)(void),
                  spawn_step step, int error)
{
    prepare = before;
    look = nothing;
    run(fds, count);
    assert_string_equal(spawn_step_name(told->step), spawn_step_name(step));
    assert_int_equal(told->error, error);
}

static bool is_null(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode)
           && st.st_rdev == makedev(1, 3);
}

/* ---- session, signals, umask, directory ---- */

static void block_all(void)
{
    sigset_t all;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)umask(0);
    IS(chdir("/tmp") == 0);
    if (spawn_os_sched_batch(true) == 0)
        IS(sched_getscheduler(0) == SCHED_BATCH);
}

static void is_plain(void)
{
    sigset_t set;
    int signo;

    IS(getsid(0) == getpid());
    IS(sigprocmask(SIG_SETMASK, NULL, &set) == 0);
    for (signo = 1; signo < 65; signo++)
        IS(sigismember(&set, signo) != 1);
    IS(umask(0) == 022);
    IS(strcmp(getcwd((char[100]){0}, 100), "/") == 0);
    IS(sched_getscheduler(0) == SCHED_OTHER);
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    IS(is_null(0) && is_null(1) && is_null(2));
    IS(fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0
       && fcntl(2, F_GETFD) == 0);
    IS((fcntl(0, F_GETFL) & O_ACCMODE) == O_RDWR);
}

static void a_job_that_says_nothing_gets_the_plain_surroundings(void **state)
{
    (void)state;
    sets_up(NULL, 0, block_all, is_plain);
}

static void lead(void)
{
    (void)setsid();
}

static void a_session_cannot_be_made_twice(void **state)
{
    (void)state;
    fails(NULL, 0, lead, SPAWN_STEP_SESSION, EPERM);
}

static void is_as_asked(void)
{
    IS(umask(0) == 077);
    IS(strcmp(getcwd((char[100]){0}, 100), "/tmp") == 0);
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
}

static void umask_directory_and_no_new_privs_are_as_asked(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_UMASK, 077);
    spawn_put_str(&w, SPAWN_A_CWD, "/tmp");
    spawn_put_u64(&w, SPAWN_A_NO_NEW_PRIVS, 1);
    sets_up(NULL, 0, NULL, is_as_asked);
}

static void a_directory_that_is_not_there_is_told(void **state)
{
    (void)state;
    spawn_put_str(&w, SPAWN_A_CWD, "/nowhere");
    fails(NULL, 0, NULL, SPAWN_STEP_CWD, ENOENT);
}

/* ---- limits, priority ---- */

static bool limited(int what, rlim_t soft, rlim_t hard)
{
    struct rlimit r;

    return getrlimit((__rlimit_resource_t)what, &r) == 0 && r.rlim_cur == soft
           && r.rlim_max == hard;
}

static void is_limited(void)
{
    IS(limited(RLIMIT_NOFILE, 100, 200));
    IS(limited(RLIMIT_CORE, 0, 0));
    IS(limited(RLIMIT_CPU, 33, 33));
    IS(limited(RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY));
}

static uint64_t limit_of(int resource)
{
    uint64_t n = 1;

    while (spawn_limit_resource(n) != resource)
        n++;
    return n;
}

static void limits_are_set(void **state)
{
    uint64_t pairs[6] = {0, 0, 0, 33, 0, SPAWN_LIMIT_UNLIMITED};

    (void)state;
    pairs[0] = limit_of(RLIMIT_CORE);
    pairs[2] = limit_of(RLIMIT_CPU);
    pairs[4] = limit_of(RLIMIT_FSIZE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 6);
    c.file_limit[0] = 100;
    c.file_limit[1] = 200;
    sets_up(NULL, 0, NULL, is_limited);
}

static struct rlimit files;

static void has_its_files(void)
{
    IS(limited(RLIMIT_NOFILE, files.rlim_cur, files.rlim_max));
}

static void the_file_limit_stays_when_none_is_given(void **state)
{
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    c.file_limit[0] = 100;
    sets_up(NULL, 0, NULL, has_its_files);
}

static void the_jobs_own_file_limit_wins(void **state)
{
    uint64_t pair[2] = {0, 55};

    (void)state;
    pair[0] = limit_of(RLIMIT_NOFILE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pair, 2);
    c.file_limit[0] = c.file_limit[1] = 100;
    files.rlim_cur = files.rlim_max = 55;
    sets_up(NULL, 0, NULL, has_its_files);
}

static void limits_that_cannot_be_set_are_told(void **state)
{
    uint64_t pairs[4] = {0, 0, 99, 1};

    (void)state;
    pairs[0] = limit_of(RLIMIT_CORE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 4);
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EINVAL);
    (void)end(NULL);
    (void)begin(NULL);
    pairs[0] = limit_of(RLIMIT_NOFILE);
    pairs[1] = 1ull << 40; /* more than the kernel gives to anybody */
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pairs, 2);
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EPERM);
    (void)end(NULL);
    (void)begin(NULL);
    c.file_limit[0] = 100;
    c.file_limit[1] = 1ull << 40;
    fails(NULL, 0, NULL, SPAWN_STEP_LIMITS, EPERM);
}

static void is_nice(void)
{
    IS(getpriority(PRIO_PROCESS, 0) == 17);
    IS(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 5));
}

static void priorities_are_set(void **state)
{
    (void)state;
    spawn_put_i64(&w, SPAWN_A_NICE, 17);
    spawn_put_u64(&w, SPAWN_A_IONICE, 2 << 8 | 5);
    sets_up(NULL, 0, NULL, is_nice);
}

static void deny_nice(void)
{
    deny(SYS_setpriority, EACCES);
}

static void priorities_that_cannot_be_set_are_told(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_IONICE, 7 << 8);
    fails(NULL, 0, NULL, SPAWN_STEP_PRIORITY, EINVAL);
    (void)end(NULL);
    (void)begin(NULL);
    spawn_put_i64(&w, SPAWN_A_NICE, 17);
    spawn_put_u64(&w, SPAWN_A_IONICE, 2 << 8 | 5);
    fails(NULL, 0, deny_nice, SPAWN_STEP_PRIORITY, EACCES);
}

static void deny_class(void)
{
    deny(SYS_sched_setscheduler, EPERM);
}

static void a_denied_scheduling_class_fails_no_job(void **state)
{
    (void)state;
    sets_up(NULL, 0, deny_class, nothing);
}

/* ---- the account ---- */

static void is_another(void)
{
    uid_t u[3];
    gid_t g[3], groups[4];

    IS(getresuid(&u[0], &u[1], &u[2]) == 0);
    IS(u[0] == 65501 && u[1] == 65501 && u[2] == 65501);
    IS(getresgid(&g[0], &g[1], &g[2]) == 0);
    IS(g[0] == 65502 && g[1] == 65502 && g[2] == 65502);
    IS(getgroups(4, groups) == 2);
    IS(groups[0] == 65503 && groups[1] == 65504);
}

static void become_another(void)
{
    as.uid = 65501;
    as.gid = 65502;
    as.groups_count = 2;
    as.groups[0] = 65503;
    as.groups[1] = 65504;
}

static void has_no_group_more(void)
{
    IS(getuid() == 65501 && getgid() == 65502);
    IS(getgroups(0, NULL) == 0);
}

static void a_job_becomes_the_account_it_runs_as(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    become_another();
    sets_up(NULL, 0, NULL, is_another);
    as.groups_count = 0; /* an account without others */
    sets_up(NULL, 0, NULL, has_no_group_more);
}

static void deny_groups(void)
{
    deny(SYS_setgroups, EPERM);
}

static void deny_gid(void)
{
    deny(SYS_setresgid, EACCES);
}

static void deny_uid(void)
{
    deny(SYS_setresuid, EAGAIN);
}

static void an_account_that_cannot_be_had_is_told(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    become_another();
    fails(NULL, 0, deny_groups, SPAWN_STEP_GROUPS, EPERM);
    fails(NULL, 0, deny_gid, SPAWN_STEP_GID, EACCES);
    fails(NULL, 0, deny_uid, SPAWN_STEP_UID, EAGAIN);
}

static void is_bounded(void)
{
    int cap;

    for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
        IS((prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1) == (cap == CAP_KILL));
}

static void deny_prctl(void)
{
    deny(SYS_prctl, EPERM);
}

static void the_bounding_set_is_what_is_to_be_kept(void **state)
{
    static const uint64_t keep = 1u << CAP_KILL;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0
                     || prctl(PR_CAPBSET_READ, CAP_KILL, 0, 0, 0) != 1,
                 "not root");
    c.bounding_set = &keep;
    sets_up(NULL, 0, NULL, is_bounded);
}

static void no_new_privs_that_is_denied_is_told(void **state)
{
    (void)state;
    spawn_put_u64(&w, SPAWN_A_NO_NEW_PRIVS, 1);
    fails(NULL, 0, deny_prctl, SPAWN_STEP_PRIVILEGES, EPERM);
}

/* ---- streams ---- */

static const char *in_dir(const char *name)
{
    static char path[2][100];
    static unsigned turn;

    turn ^= 1;
    (void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
    return path[turn];
}

static void write_file(const char *name, const char *text)
{
    FILE *out = fopen(in_dir(name), "w");

    assert_non_null(out);
    (void)fputs(text, out);
    (void)fclose(out);
}

static const char *file(const char *name)
{
    static char text[200];
    FILE *in = fopen(in_dir(name), "r");

    assert_non_null(in);
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    (void)fclose(in);
    return text;
}

static void put_stream(unsigned attr, spawn_stdio_how how, unsigned flags,
                       unsigned fd, const char *name)
{
    const spawn_stdio s = {how, (uint8_t)flags, (uint16_t)fd,
                           name ? in_dir(name) : ""};

    spawn_put_stdio(&w, (uint16_t)attr, &s);
}

static void reads_and_writes(void)
{
    char text[20] = "";

    IS(read(0, text, sizeof(text)) == 6);
    IS(strcmp(text, "input\n") == 0);
    IS(write(0, "x", 1) == -1 && errno == EBADF);
    IS(write(1, "out", 3) == 3);
    IS(write(2, "err", 3) == 3);
    IS(read(1, text, 1) == -1 && errno == EBADF);
    IS(fcntl(0, F_GETFD) == 0 && fcntl(1, F_GETFD) == 0
       && fcntl(2, F_GETFD) == 0);
    IS(!(fcntl(0, F_GETFL) & O_NONBLOCK));
    IS(!(fcntl(1, F_GETFL) & (O_NONBLOCK | O_APPEND)));
    IS(fcntl(2, F_GETFL) & O_APPEND);
    IS(!(fcntl(2, F_GETFL) & O_NONBLOCK));
    IS(open_count() == 3);
}

static void streams_are_files(void **state)
{
    struct stat st;

    (void)state;
    write_file("in", "input\n");
    write_file("cut", "something long");
    write_file("grows", "before ");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, "in");
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "cut");
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0,
               "grows");
    sets_up(NULL, 0, NULL, reads_and_writes);
    assert_string_equal(file("in"), "input\n");
    assert_string_equal(file("cut"), "out");
    assert_string_equal(file("grows"), "before err");
    (void)end(NULL);
    (void)begin(NULL);
    spawn_put_u64(&w, SPAWN_A_UMASK, 037);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "new");
    sets_up(NULL, 0, NULL, nothing);
    assert_int_equal(stat(in_dir("new"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
}

static void same_file(void)
{
    IS(write(1, "out", 3) == 3);
    IS(write(2, "err", 3) == 3);
    IS(lseek(1, 0, SEEK_CUR) == 6);
}

static void stderr_goes_where_stdout_goes(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "both");
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_STDOUT, 0, 0, NULL);
    sets_up(NULL, 0, NULL, same_file);
    assert_string_equal(file("both"), "outerr");
}

static void close_streams(void)
{
    (void)close(0);
    (void)close(1);
    (void)close(2);
}

static void all_are_there_at_exec(void)
{
    int fd;

    IS(is_null(0) && is_null(2));
    IS(write(1, "out", 3) == 3);
    for (fd = 0; fd < 3; fd++)
        IS(fcntl(fd, F_GETFD) == 0);
    IS(open_count() == 3);
}

/* The file then opens right there. */
static void streams_may_have_been_closed(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "closed");
    sets_up(NULL, 0, close_streams, all_are_there_at_exec);
    assert_string_equal(file("closed"), "out");
}

static void streams_that_cannot_be_opened_are_told(void **state)
{
    (void)state;
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, "none");
    fails(NULL, 0, NULL, SPAWN_STEP_STDIN, ENOENT);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "none/x");
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, ENOENT);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDERR, SPAWN_STDIO_PATH, 0, 0, ".");
    fails(NULL, 0, NULL, SPAWN_STEP_STDERR, EISDIR);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_LOG, 0, 0, NULL);
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, EINVAL);
}

static void deny_fcntl(void)
{
    deny(SYS_fcntl, EPERM);
}

/* Else a job could get one that does not wait. */
static void a_stream_that_cannot_be_made_plain_is_told(void **state)
{
    (void)state;
    write_file("in", "input\n");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, "in");
    fails(NULL, 0, deny_fcntl, SPAWN_STEP_STDIN, EPERM);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "out");
    fails(NULL, 0, deny_fcntl, SPAWN_STEP_STDOUT, EPERM);
}

static int leased;

static void give_up(int signo)
{
    (void)signo;
    (void)fcntl(leased, F_SETLEASE, F_UNLCK);
}

static void reads_input(void)
{
    char text[16] = "";

    IS(read(0, text, sizeof(text)) == 6 && strcmp(text, "input\n") == 0);
}

/* A file server's. Who opens without waiting is told to come again. */
static void a_file_with_a_lease_is_waited_for(void **state)
{
    (void)state;
    write_file("leased", "input\n");
    leased = open(in_dir("leased"), O_RDWR | O_CLOEXEC);
    (void)signal(SIGIO, give_up);
    LEAVE_OUT_IF(fcntl(leased, F_SETLEASE, F_WRLCK) < 0,
                 "no leases on this file system");
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, "leased");
    sets_up(NULL, 0, NULL, reads_input);
    (void)close(leased);
    (void)signal(SIGIO, SIG_DFL);
}

static void reads_the_end(void)
{
    char byte;

    IS(read(0, &byte, 1) == 0);
}

static void a_fifo_of_nobody_is_empty_or_an_error(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_PATH, 0, 0, "fifo");
    sets_up(NULL, 0, NULL, reads_the_end);
    (void)end(NULL);
    (void)begin(NULL);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_PATH, 0, 0, "fifo");
    fails(NULL, 0, NULL, SPAWN_STEP_STDOUT, ENXIO);
}

/* ---- handles ---- */

static ino_t inode(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

static int ends[2], others[2], kept;
static ino_t wanted[4];

static void open_much(void)
{
    static const int numbers[] = {3, 10, 20, 63, 64, 90, 200};
    size_t i;

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i] != kept && fcntl(numbers[i], F_GETFD) < 0)
            (void)dup2(0, numbers[i]);
    }
    IS(dup2(0, kept - 1) >= 0 && dup2(0, kept + 2) >= 0);
    IS(dup2(0, 250) == 250);
}

static void has_its_handles_only(void)
{
    int fd;

    IS(inode(0) == wanted[0]);
    IS(inode(5) == wanted[1] && fcntl(5, F_GETFD) == 0);
    IS(inode(63) == wanted[2] && fcntl(63, F_GETFD) == 0);
    IS(inode(3) == wanted[3] && fcntl(3, F_GETFD) == 0);
    IS(fcntl(kept, F_GETFD) == FD_CLOEXEC);
    for (fd = 4; fd < 300; fd++) {
        if (fd != 5 && fd != 63)
            IS(fcntl(fd, F_GETFD) != 0);
    }
    /* and not only at exec: who hangs holds nothing of others */
    IS(fcntl(kept + 1, F_GETFD) == FD_CLOEXEC);
    IS(open_count() == 3 + 3 + 2 + 4);
    IS(lifted[0] >= SPAWN_CHILD_LIFTED && inode(lifted[0]) == wanted[0]);
    IS(lifted[3] >= SPAWN_CHILD_LIFTED && inode(lifted[3]) == wanted[3]);
    IS(lifted[4] == -1 && lifted[SPAWN_FDS_BOXED] == -1);
    IS(lifted[SPAWN_CHILD_FDS - 1] == -1);
}

/* Also where their numbers cross. */
static void handles_are_at_their_numbers_and_nothing_else_is(void **state)
{
    const uint64_t fds[] = {1, 5, 2, 63, 3, 3};
    int given[4], i;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pipe(others), 0);
    given[0] = ends[0];
    given[1] = ends[1];
    given[2] = others[0];
    given[3] = others[1];
    for (i = 0; i < 4; i++)
        wanted[i] = inode(given[i]);
    kept = fcntl(0, F_DUPFD_CLOEXEC, 100);
    c.keep[0] = kept;
    assert_int_equal(fcntl(0, F_DUPFD, kept + 1), kept + 1);
    c.keep[1] = kept + 1;
    c.keep_count = 2;
    put_stream(SPAWN_A_STDIN, SPAWN_STDIO_FD, 0, 0, NULL);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 6);
    sets_up(given, 4, open_much, has_its_handles_only);
    for (i = 0; i < 4; i++)
        (void)close(given[i]);
    (void)close(kept);
    (void)close(kept + 1);
}

/* Its own limit is set before. */
static void handles_beyond_the_jobs_limit_are_told(void **state)
{
    const uint64_t fds[] = {0, 20};
    uint64_t pair[2] = {0, 10};
    int fd = 0;

    (void)state;
    pair[0] = limit_of(RLIMIT_NOFILE);
    spawn_put_u64v(&w, SPAWN_A_LIMITS, pair, 2);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    fails(&fd, 1, NULL, SPAWN_STEP_FDS, EBADF);
}

/* The first that does not stay, and the first behind those that do. */
static void open_beside(void)
{
    IS(dup2(0, 3) == 3);
    IS(dup2(0, SPAWN_CHILD_LIFTED + 3) == SPAWN_CHILD_LIFTED + 3);
}

static void has_what_is_boxed(void)
{
    IS(inode(7) == wanted[0] && fcntl(7, F_GETFD) == 0);
    IS(inode(1) == wanted[1] && fcntl(1, F_GETFD) == 0);
    IS(lifted[SPAWN_FDS_BOXED] >= SPAWN_CHILD_LIFTED);
    IS(lifted[SPAWN_FDS_BOXED + 1] >= SPAWN_CHILD_LIFTED);
    IS(lifted[SPAWN_FDS_BOXED + 2] == -1);
    IS(open_count() == 3 + 1 + 3);
}

static void boxed_handles_come_out(void **state)
{
    const uint64_t fds[] = {SPAWN_FDS_BOXED, 7};
    int box;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    wanted[0] = inode(ends[0]);
    wanted[1] = inode(ends[1]);
    box = spawn_box_make(ends, 2);
    assert_true(box >= 0);
    spawn_put_u64(&w, SPAWN_A_BOXED, 2);
    put_stream(SPAWN_A_STDOUT, SPAWN_STDIO_FD, 0, SPAWN_FDS_BOXED + 1, NULL);
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    sets_up(&box, 1, open_beside, has_what_is_boxed);
    (void)close(box);
    box = ends[0]; /* none */
    fails(&box, 1, NULL, SPAWN_STEP_FDS, ENOTSOCK);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void no_more_files(void)
{
    struct rlimit r = {SPAWN_CHILD_LIFTED, SPAWN_CHILD_LIFTED};

    IS(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void room_for_the_box_only(void)
{
    struct rlimit r = {SPAWN_CHILD_LIFTED + 1, SPAWN_CHILD_LIFTED + 1};

    IS(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void handles_that_have_no_room_are_told(void **state)
{
    const uint64_t fds[] = {0, 5};
    const int boxed[] = {0, 1};
    int fd = 0, box = spawn_box_make(boxed, 2);

    assert_true(box >= 0);
    spawn_put_u64(&w, SPAWN_A_BOXED, 2);
    fails(&box, 1, room_for_the_box_only, SPAWN_STEP_FDS, EMFILE);
    (void)close(box);
    (void)end(NULL);
    (void)begin(NULL);

    (void)state;
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 2);
    fails(&fd, 1, no_more_files, SPAWN_STEP_FDS, EINVAL);
}

/* ---- without exec ---- */

static void closes_others(void)
{
    const int keep[] = {220, 71, 70};
    int fd, n = 0;

    for (fd = 3; fd < 300; fd++)
        (void)dup2(0, fd);
    spawn_child_close_others(&c, keep, 3);
    for (fd = 0; fd < 300; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    IS(n == 3 + 3 + 3);
    IS(fcntl(3, F_GETFD) >= 0 && fcntl(4, F_GETFD) >= 0
       && fcntl(63, F_GETFD) >= 0);
    IS(fcntl(70, F_GETFD) >= 0 && fcntl(71, F_GETFD) >= 0
       && fcntl(220, F_GETFD) >= 0);
}

static void all_but_what_stays_is_closed(void **state)
{
    const uint64_t fds[] = {0, 4, 0, 63, 0, 3};
    int fd = 0;

    (void)state;
    spawn_put_u64v(&w, SPAWN_A_FDS, fds, 6);
    sets_up(&fd, 1, NULL, closes_others);
}

static void closes_all(void)
{
    int fd;

    for (fd = 3; fd < 300; fd++)
        (void)dup2(0, fd);
    spawn_child_close_others(&c, NULL, 0);
    IS(open_count() == 3);
}

static void all_is_closed_when_nothing_stays(void **state)
{
    (void)state;
    sets_up(NULL, 0, NULL, closes_all);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_job_that_says_nothing_gets_the_plain_surroundings),
        T(a_session_cannot_be_made_twice),
        T(umask_directory_and_no_new_privs_are_as_asked),
        T(a_directory_that_is_not_there_is_told),
        T(limits_are_set),
        T(the_file_limit_stays_when_none_is_given),
        T(the_jobs_own_file_limit_wins),
        T(limits_that_cannot_be_set_are_told),
        T(priorities_are_set),
        T(priorities_that_cannot_be_set_are_told),
        T(a_denied_scheduling_class_fails_no_job),
        T(a_job_becomes_the_account_it_runs_as),
        T(an_account_that_cannot_be_had_is_told),
        T(the_bounding_set_is_what_is_to_be_kept),
        T(no_new_privs_that_is_denied_is_told),
        T(streams_are_files),
        T(stderr_goes_where_stdout_goes),
        T(streams_may_have_been_closed),
        T(streams_that_cannot_be_opened_are_told),
        T(a_stream_that_cannot_be_made_plain_is_told),
        T(a_file_with_a_lease_is_waited_for),
        T(a_fifo_of_nobody_is_empty_or_an_error),
        T(handles_are_at_their_numbers_and_nothing_else_is),
        T(handles_beyond_the_jobs_limit_are_told),
        T(boxed_handles_come_out),
        T(handles_that_have_no_room_are_told),
        T(all_but_what_stays_is_closed),
        T(all_is_closed_when_nothing_stays),
    };
    static const char *const names[] = {"in",   "cut",    "grows", "new",
                                        "both", "closed", "fifo"};
    size_t i;
    int failed;

    told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || !mkdtemp(dir))
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    failed = cmocka_run_group_tests_name("child", tests, NULL, NULL);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(in_dir(names[i]));
    (void)rmdir(dir);
    return failed;
}
