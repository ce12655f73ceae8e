/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside spawner_play.h: orders that say more than a program, what can be seen
 * of the spawner from outside, what it has written into its log, and shortages
 * that begin while it runs.
 */
#ifndef SPAWNER_LOOK_H
#define SPAWNER_LOOK_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "t/unit/spawner_play.h"

/* ---- orders ---- */

/* An order of this script, to which more can be put before it is sent. */
static inline void begin_order(spawn_writer *w, const spawn_id *id,
                               const char *script)
{
    size_t mark;

    begin(w, SPAWN_M_LAUNCH);
    spawn_put_id(w, SPAWN_A_ID, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/sh", 7);
    spawn_add_text(w, mark, "-c", 2);
    spawn_add_text(w, mark, script, strlen(script));
    spawn_close(w, mark);
    mark = spawn_open_strv(w, SPAWN_A_ENV);
    spawn_close(w, mark);
}

/* Its output goes where launch() puts it. */
static inline void put_out(spawn_writer *w)
{
    char path[128];
    const spawn_stdio out = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0, path};

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    spawn_put_stdio(w, SPAWN_A_STDOUT, &out);
}

static inline const char *out_text(void)
{
    static char text[8192];
    char path[128];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, text, sizeof(text) - 1);
    assert_true(n >= 0);
    text[n] = '\0';
    (void)close(fd);
    return text;
}

static inline void order_signal(const spawn_id *id, int signo, unsigned left)
{
    spawn_writer w;

    begin(&w, SPAWN_M_SIGNAL);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    if (left)
        spawn_put_u64(&w, SPAWN_A_KILL_LEFT, left);
    send_on(link_fd, &w, NULL, 0);
}

/* It obeys and answers: what was sent before has been seen. */
static inline void goes_on(void)
{
    spawn_id id;

    new_id(&id);
    launch(&id, "/bin/sh", "exit 9", NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 9);
    send_id(SPAWN_M_FORGET, &id);
}

static inline uint64_t number(unsigned attr)
{
    if (!spawn_has(&message, attr))
        fail_msg("no %s", spawn_attr_name(attr));
    return spawn_attr_u64(&message.attr[attr]);
}

/* It dies, and the next one is told of the configuration first. */
static inline void next_broker(void)
{
    drop_broker();
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
}

/* The other ends of this pipe or socket are closed, all of them. */
static inline bool has_ended(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};
    char byte;

    return poll(&p, 1, DEADLINE_MS) == 1 && read(fd, &byte, 1) == 0;
}

/* ---- seen from outside ---- */

/* The text of a file of it in /proc, or of a line of its status. */
static inline const char *proc_text(pid_t pid, const char *name)
{
    static char text[16384];
    char path[128];
    size_t length = 0;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0
           && (n = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
        length += (size_t)n;
    if (fd >= 0)
        (void)close(fd);
    text[length] = '\0';
    return text;
}

static inline const char *proc_status(pid_t pid, const char *name)
{
    char *line = strstr((char *)(uintptr_t)proc_text(pid, "status"), name);

    assert_non_null(line);
    line[strcspn(line, "\n")] = '\0';
    line += strlen(name);
    return line + strspn(line, ": \t");
}

static inline unsigned long long proc_hex(pid_t pid, const char *name)
{
    return strtoull(proc_status(pid, name), NULL, 16);
}

/* Pages of address space. */
static inline long proc_pages(pid_t pid)
{
    return atol(proc_text(pid, "statm"));
}

/* Open descriptors; for root, since nobody else may look. */
static inline unsigned proc_fds(pid_t pid)
{
    char path[64], target[8];
    unsigned count = 0;
    int fd;

    for (fd = 0; fd < 1024; fd++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
        count += readlink(path, target, sizeof(target)) >= 0;
    }
    return count;
}

/* Is it a zombie, or no process any more? */
static inline void wait_for_death(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (proc_text(pid, "stat")[0] && proc_status(pid, "State")[0] != 'Z') {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* Nobody has it: it was reaped. */
static inline void wait_for_reaping(pid_t pid)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (kill(pid, 0) == 0) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* The process that the spawner calls broker. */
static inline pid_t broker_pid(void)
{
    struct ucred who;
    socklen_t length = sizeof(who);

    assert_int_equal(getsockopt(relay, SOL_SOCKET, SO_PEERCRED, &who, &length),
                     0);
    return who.pid;
}

static inline void wait_for_state(pid_t pid, char state)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (proc_status(pid, "State")[0] != state) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/* Messages that are sent while it is stopped are seen at once, in the order in
 * which they came: it is stopped where it waits for events. */
static inline void hold_spawner(void)
{
    wait_for_state(spawner_pid, 'S');
    assert_int_equal(kill(spawner_pid, SIGSTOP), 0);
    wait_for_state(spawner_pid, 'T');
}

static inline void let_spawner_go(void)
{
    assert_int_equal(kill(spawner_pid, SIGCONT), 0);
}

/* ---- the end ---- */

/* The children of a killed spawner come to the test's program. */
static inline void leave_nothing(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

static inline int stop_all(void **state)
{
    char path[64];
    int rv = stop_spawner(state);

    (void)snprintf(path, sizeof(path), "task/%d/children", (int)getpid());
    do {
        const char *at = proc_text(getpid(), path);
        char *end;
        pid_t pid;

        /* our children, not yet reaped */
        while ((pid = (pid_t)strtol(at, &end, 10)) > 0) {
            (void)kill(pid, SIGKILL);
            at = end;
        }
    } while (waitpid(-1, NULL, 0) > 0);
    return rv == 0 ? 0 : remove_dir(); /* a job was opening a file there */
}

/* ---- its log ---- */

static int log_fd = -1;

static inline void log_to_file(void)
{
    (void)dup2(log_fd, STDERR_FILENO);
}

/* Above what its process is given. */
static inline void new_log(void)
{
    int fd = spawn_os_memfd("log");

    if (log_fd >= 0)
        (void)close(log_fd);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 100);
    (void)close(fd);
}

static inline int start_with_log(void **state)
{
    new_log();
    before_exec = log_to_file;
    return log_fd < 0 ? -1 : start_spawner(state);
}

static inline const char *log_text(void)
{
    static char text[1 << 18];
    ssize_t n = pread(log_fd, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

static inline unsigned log_count(const char *what)
{
    const char *at = log_text();
    unsigned count = 0;

    for (; (at = strstr(at, what)); at++)
        count++;
    return count;
}

static inline void expect_log(const char *what)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (!log_count(what)) {
        if (spawn_mono_ms() >= deadline)
            fail_msg("no '%s' in:\n%s", what, log_text());
        (void)poll(NULL, 0, 1);
    }
}

/* ---- shortages ---- */

static inline void limit_spawner(int resource, rlim_t value)
{
    struct rlimit limit;

    assert_int_equal(
        prlimit(spawner_pid, (__rlimit_resource_t)resource, NULL, &limit), 0);
    limit.rlim_cur = value;
    assert_int_equal(
        prlimit(spawner_pid, (__rlimit_resource_t)resource, &limit, NULL), 0);
}

/* A socket whose close waits for its other end, which does not read. */
static inline int slow_to_close(int *ret_other)
{
    const struct linger linger = {1, 60};
    static char zeros[65536];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int little = 4096; /* takes less than is sent at once */

    assert_int_equal(
        setsockopt(l, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &length), 0);
    assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
    *ret_other = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*ret_other >= 0);
    assert_int_equal(
        setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    (void)close(l);
    while (send(c, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        continue;
    return c;
}

/* Pids are looked for in so many places. */
#define PID_PLACES 16384

/* The kernel gives this pid next, unless others are faster. */
static inline bool next_pid_is(pid_t pid)
{
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
    bool ok;

    if (!last)
        return false;
    ok = fprintf(last, "%d", (int)pid - 1) > 0;
    return fclose(last) == 0 && ok;
}

/* From now on a system call fails when this argument has one of these bits;
 * before_exec only. */
static inline void deny_bits(long call, unsigned argument, uint32_t bits,
                             int error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                 (unsigned)offsetof(struct seccomp_data, args) + 8 * argument),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {6, program};

    if ((geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(97);
}

#endif
