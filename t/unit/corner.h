/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Corners that code is tried in: memory whose neighbours cannot be touched, a
 * process that gets no more memory or may not write more, and what is left over
 * afterwards. For unit tests.
 */
#ifndef CORNER_H
#define CORNER_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CORNER_ROOM 65536

/* Is AddressSanitizer in this program, and in those that it starts? Its memory
 * is not libc's, and terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Leaves out a test that is impossible here. cmocka's own skip() would be a
 * failure to prove: it says "not ok". */
#define LEAVE_OUT_IF(condition, why)                                           \
    do {                                                                       \
        if (condition) {                                                       \
            print_message("# left out: " why "\n");                            \
            return;                                                            \
        }                                                                      \
    } while (0)

/* These bytes at the end of memory: one byte more cannot be read. One at a
 * time. */
static __attribute__((unused)) uint8_t *at_the_end(const void *bytes,
                                                   size_t length)
{
    static uint8_t *room;

    if (!room) {
        room = mmap(NULL, CORNER_ROOM + 4096, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED
            || mprotect(room + CORNER_ROOM, 4096, PROT_NONE) < 0)
            _exit(99);
    }
    memcpy(room + CORNER_ROOM - length, bytes, length);
    return room + CORNER_ROOM - length;
}

/* The same at its beginning. */
static __attribute__((unused)) uint8_t *at_the_start(const void *bytes,
                                                     size_t length)
{
    static uint8_t *room;

    if (!room) {
        room = mmap(NULL, 4096 + CORNER_ROOM, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (room == MAP_FAILED || mprotect(room, 4096, PROT_NONE) < 0)
            _exit(99);
    }
    memcpy(room + 4096, bytes, length);
    return room + 4096;
}

static __attribute__((unused)) unsigned open_count(void)
{
    unsigned n = 0;
    int fd;

    for (fd = 0; fd < 300; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* The bytes that malloc has given. Pieces up to a kilobyte it may count for
 * longer. */
static __attribute__((unused)) size_t heap_bytes(void)
{
    struct mallinfo2 now = mallinfo2();

    return now.uordblks + now.hblkhd;
}

/* A page that it has in common with its children. */
static __attribute__((unused)) int *line_in_child(void)
{
    static int *line;

    if (!line) {
        line = mmap(NULL, sizeof(*line), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (line == MAP_FAILED)
            _exit(99);
    }
    return line;
}

/* The function's return (0 to 255) in a process of its own; -1 when that was
 * killed. */
static __attribute__((unused)) int in_a_child(int (*what)(void))
{
    pid_t pid;
    int status;

    *line_in_child() = 0;
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(what());
    while (waitpid(pid, &status, 0) < 0)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Checks in a child: IS() in there, and HOLDS_IN_A_CHILD() outside, which fails
 * with the line of the check that did not hold. */
#define IS(what)                                                               \
    do {                                                                       \
        if (!(what))                                                           \
            return told_line(__LINE__);                                        \
    } while (0)
#define HOLDS_IN_A_CHILD(what)                                                 \
    do {                                                                       \
        int is_ = in_a_child(what);                                            \
                                                                               \
        if (is_ != 0)                                                          \
            fail_msg("%s:%d: not so in the child (%d)", __FILE__,              \
                     *line_in_child(), is_);                                   \
    } while (0)

static __attribute__((unused)) int told_line(int at)
{
    *line_in_child() = at;
    return 1;
}

/* No more memory for this process than it has and this; in a child. */
static __attribute__((unused)) void no_more_memory_than(size_t bytes)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *in = fopen("/proc/self/statm", "r");

    if (!in || fscanf(in, "%lu", &pages) != 1)
        _exit(98);
    (void)fclose(in);
    limit.rlim_cur = limit.rlim_max = pages * 4096 + bytes;
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        _exit(98);
}

/* No file longer than this; in a child. */
static __attribute__((unused)) void no_file_longer_than(size_t bytes)
{
    struct rlimit limit = {bytes, bytes};

    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        _exit(98);
}

static __attribute__((unused)) void filter_calls(struct sock_filter *program,
                                                 unsigned length)
{
    struct sock_fprog filter = {(unsigned short)length, program};

    if ((geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(97);
}

/* This system call fails with this errno from now on; in a child. */
static __attribute__((unused)) void deny(long call, int error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

    filter_calls(program, sizeof(program) / sizeof(program[0]));
}

/* The same when its argument (from 0) has this value, by its lower half. */
static __attribute__((unused)) void deny_when(long call, unsigned argument,
                                              uint32_t value, int error)
{
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    const size_t at = offsetof(struct seccomp_data, args)
                      + argument * sizeof(uint64_t)
                      + (big ? sizeof(uint32_t) : 0);
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)at),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};

    filter_calls(program, sizeof(program) / sizeof(program[0]));
}

#endif
