/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of a job that have left its group, and their parent, which is the
 * test's program (common/spawn_tree_linux.c). How often /proc is read is
 * counted, and what is read of it can fail.
 */
#ifndef TREE_PLAY_H
#define TREE_PLAY_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"

#define DEADLINE_MS 60000
#define NOBODY      65534

static unsigned reads;      /* of marks */
static int no_marks;        /* can be read, with this errno */
static bool lists_none;     /* the kernel does not list children */
static unsigned opens_left; /* before there is no descriptor; */
static bool runs_out;       /* when there is such a bound */
static size_t piece;        /* lists of children come in such; 0: whole */
static int children = -1;   /* the last one that was opened */

static inline int play_open(const char *path, int flags)
{
    const char *name = strrchr(path, '/');
    int fd;

    if (runs_out && opens_left-- == 0) {
        opens_left = 0;
        errno = EMFILE;
        return -1;
    }
    if (no_marks && strcmp(name, "/limits") == 0) {
        errno = no_marks;
        return -1;
    }
    if (lists_none && strcmp(name, "/children") == 0) {
        errno = ENOENT;
        return -1;
    }
    reads += strcmp(name, "/limits") == 0;
    fd = open(path, flags);
    if (strcmp(name, "/children") == 0)
        children = fd;
    return fd;
}

static inline ssize_t play_read(int fd, void *to, size_t size)
{
    return read(fd, to, piece && fd == children && piece < size ? piece : size);
}

/* the library has its own */
#define spawn_tree_mark     tree_mark
#define spawn_tree_has_mark tree_has_mark
#define spawn_tree_signal   tree_signal
#define spawn_tree_left     tree_left
#define spawn_tree_reaped   tree_reaped
#define spawn_tree_cpu_ms   tree_cpu_ms
#define open                play_open
#define read                play_read
#include "common/spawn_tree_linux.c"
#undef open
#undef read

/* ---- processes ---- */

static const spawn_id job_id = {{1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11}};
static spawn_tree tree;
static pid_t another; /* that is known as something else */
static uid_t strange; /* the account of strangers; 0: none is */

static inline bool is_other(pid_t pid)
{
    return pid == another;
}

static inline bool is_strange(uid_t uid)
{
    return strange && uid == strange;
}

static inline void set_mark(pid_t pid, uint64_t mark)
{
    struct rlimit limit = {mark, RLIM_INFINITY};

    assert_int_equal(prlimit(pid, RLIMIT_RTTIME, &limit, NULL), 0);
}

/* All of it, or the failure of the child that was to write it is one of the
 * test: the pipe ends, or nothing comes. */
static inline void read_all(int fd, void *to, size_t size)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(read(fd, to, size), size);
}

static int ready[2] = {-1, -1};

/* Before a child is forked: it has the end to write to, and we close ours. */
static inline void open_ready(void)
{
    spawn_close_fds(ready, 2);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
}

static inline void say(char c)
{
    if (write(ready[1], &c, 1) != 1)
        _exit(5);
}

static inline void hear(void)
{
    char c;

    spawn_close_fds(&ready[1], 1);
    read_all(ready[0], &c, 1);
    assert_int_equal(c, 'y');
}

static inline void become_leader(int signo)
{
    (void)signo;
    say(setsid() < 0 ? 'n' : 'y');
}

/* A child with this mark that waits; -1 when there may be no more processes. */
static inline pid_t one_more(uint64_t mark, uid_t uid)
{
    struct rlimit limit = {mark, RLIM_INFINITY};
    pid_t pid;

    open_ready();
    pid = fork();
    if (pid != 0) {
        assert_true(pid > 0 || errno == EAGAIN);
        if (pid > 0)
            hear();
        return pid;
    }
    if (setrlimit(RLIMIT_RTTIME, &limit) < 0 || setsid() < 0
        || (uid && setresuid(uid, uid, uid) < 0))
        _exit(3);
    say('y');
    for (;;)
        (void)pause();
}

static inline pid_t child_of(uint64_t mark, uid_t uid)
{
    pid_t pid = one_more(mark, uid);

    assert_true(pid > 0);
    return pid;
}

/* One of a session whose leader lives, in another group: it has no parent any
 * more but us. USR1: it makes a session of its own. */
static inline pid_t child_in_session(pid_t *ret_leader)
{
    int number[2];
    pid_t pid = -1;

    open_ready();
    assert_int_equal(pipe2(number, O_CLOEXEC), 0);
    *ret_leader = fork();
    if (*ret_leader == 0) {
        (void)setsid();
        if (fork() == 0) {
            (void)setpgid(0, 0);
            pid = fork();
            if (pid > 0)
                _exit(write(number[1], &pid, sizeof(pid)) != sizeof(pid));
            (void)signal(SIGUSR1, become_leader);
            say('y');
            for (;;)
                (void)pause();
        }
        (void)wait(NULL);
        for (;;)
            (void)pause();
    }
    (void)close(number[1]);
    read_all(number[0], &pid, sizeof(pid));
    (void)close(number[0]);
    hear();
    return pid;
}

static inline void wait_for_parent(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    pid_t parent = 0;

    while (spawn_os_parent(pid, &parent) < 0 || parent != getpid()) {
        assert_true(spawn_mono_ms() < deadline);
        (void)usleep(1000);
    }
}

static inline void end(pid_t pid)
{
    (void)kill(pid, SIGKILL); /* our child, not reaped */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    tree_reaped(pid);
}

/* It has ended, and is not reaped. */
static inline void wait_for_end(pid_t pid)
{
    siginfo_t info;

    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static inline int start(void **state)
{
    (void)state;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(60);
    memset(remembered, 0, sizeof(remembered));
    reads = 0;
    lists_none = runs_out = false;
    no_marks = 0;
    piece = 0;
    children = -1;
    opens_left = 0;
    another = 0;
    strange = 0;
    tree = (spawn_tree){.mark = tree_mark(&job_id, 0),
                        .group = 1, /* which is not ours */
                        .remembers = true,
                        .is_other = is_other,
                        .is_stranger = is_strange};
    open_ready();
    spawn_close_fds(&ready[1], 1);
    return 0;
}

static inline int stop(void **state)
{
    char path[64], text[4096];
    ssize_t n;
    int fd;

    (void)state;
    runs_out = false;
    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/children",
                   (int)getpid());
    do {
        const char *at = text;
        char *next;
        pid_t pid;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = read(fd, text, sizeof(text) - 1);
        (void)close(fd);
        text[n > 0 ? n : 0] = '\0';
        for (; (pid = (pid_t)strtol(at, &next, 10)) > 0; at = next)
            (void)kill(pid, SIGKILL); /* ours, not reaped */
    } while (waitpid(-1, NULL, 0) > 0);
    spawn_close_fds(ready, 2);
    return 0;
}

static inline void left_is(pid_t expected)
{
    assert_int_equal(tree_left(&tree), expected);
}

static inline void reaches(unsigned expected)
{
    spawn_tree_found found;

    memset(&found, 0xff, sizeof(found));
    assert_int_equal(tree_signal(&tree, SIGCONT, &found), 0);
    assert_int_equal(found.signalled, expected);
    assert_int_equal(found.unreached, 0);
    assert_false(found.cut);
}

/* A child of ours that has this mark, with a child of its own in a session of
 * that one's own, and as many below that as are wanted: all without a mark, or
 * with it. */
static inline void line_of(unsigned below, uint64_t mark, uint64_t their_mark,
                           pid_t *ret)
{
    struct rlimit limit = {mark, RLIM_INFINITY};
    int numbers[2];
    unsigned i;

    assert_int_equal(pipe2(numbers, O_CLOEXEC), 0);
    if (fork() == 0) {
        for (i = 0; i <= below; i++) {
            pid_t pid = getpid();

            if (setrlimit(RLIMIT_RTTIME, &limit) < 0 || setsid() < 0
                || write(numbers[1], &pid, sizeof(pid)) != sizeof(pid))
                _exit(3);
            limit.rlim_cur = their_mark;
            if (i == below || fork() > 0)
                break;
        }
        for (;;)
            (void)pause();
    }
    (void)close(numbers[1]);
    for (i = 0; i <= below; i++)
        read_all(numbers[0], &ret[i], sizeof(ret[i]));
    (void)close(numbers[0]);
}

#endif
