/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a recorded and supervised start takes: callers send jobs to a
 * process that answers, puts them into a queue and records each end in SQLite;
 * another one, which shares none of its memory, starts the programs as
 * mod_spawn's spawner does (setup.h), and reaps them. There are no checks,
 * limits, time-outs, handles or outputs, nothing outlives a crash, and a job is
 * recorded once, with others, when it has ended.
 *
 *   recorded CALLERS JOBS IN_FLIGHT UID GID PROGRAM [ARGUMENT]
 *
 * Each caller submits so many jobs, an answer to each. Prints jobs per second,
 * and how many it were. Runs alone.
 */
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "bench/c/bare.h"
#include "bench/c/setup.h"

#define MESSAGE   512 /* bytes of a job */
#define ANSWER    64
#define EXIT      256
#define STACK     32768
#define IN_ONE_GO 48 /* records */
#define MOST      256

static struct {
    long callers, jobs, in_flight;
    uid_t uid;
    gid_t gid;
    char **argv;
} what;

static void fail(const char *text)
{
    perror(text);
    exit(1);
}

static void pair(int *ends)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
}

/* ---- a caller ---- */

static void call(int to)
{
    char message[MESSAGE] = "", answer[ANSWER];
    long i;

    for (i = 0; i < what.jobs; i++) {
        if (send(to, message, sizeof(message), 0) < 0
            || recv(to, answer, sizeof(answer), 0) <= 0)
            fail("submit");
    }
    _exit(0);
}

/* ---- who starts ---- */

static char *stacks;
static pid_t on[MOST];

static int child(void *unused)
{
    (void)unused;
    set_up_and_exec(what.argv, what.uid, what.gid);
    return 127;
}

static void start(void)
{
    long i = 0;

    while (on[i])
        i++;
    on[i] = clone(child, stacks + (i + 1) * STACK, CLONE_VM | SIGCHLD, NULL);
    if (on[i] < 0)
        fail("clone");
}

static void reap(int to)
{
    char message[EXIT] = "";
    struct rusage used;
    int status;
    pid_t pid;
    long i;

    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0) {
        for (i = 0; i < what.in_flight; i++) {
            if (on[i] == pid)
                on[i] = 0;
        }
        memcpy(message, &pid, sizeof(pid));
        memcpy(message + sizeof(pid), &used, sizeof(used));
        if (status != 0 || send(to, message, sizeof(message), 0) < 0)
            fail("a program does not run");
    }
}

static void start_them(int link)
{
    struct epoll_event e = {.events = EPOLLIN}, seen[2];
    struct signalfd_siginfo signals[16];
    char message[MESSAGE];
    sigset_t set;
    int ends, poll = epoll_create1(EPOLL_CLOEXEC);

    stacks = calloc((size_t)what.in_flight, STACK);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    ends = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    e.data.fd = link;
    (void)epoll_ctl(poll, EPOLL_CTL_ADD, link, &e);
    e.data.fd = ends;
    (void)epoll_ctl(poll, EPOLL_CTL_ADD, ends, &e);
    for (;;) {
        int n = epoll_wait(poll, seen, 2, -1), i;

        for (i = 0; i < n; i++) {
            ssize_t got = 0;

            if (seen[i].data.fd == ends) {
                (void)!read(ends, signals, sizeof(signals));
                reap(link);
                continue;
            }
            while ((got = recv(link, message, sizeof(message), MSG_DONTWAIT))
                   > 0)
                start();
            if (got == 0)
                _exit(0);
        }
    }
}

/* ---- who records ---- */

static sqlite3 *db;
static sqlite3_stmt *insert;

static void run(const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        (void)fprintf(stderr, "recorded: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static void open_store(const char *path)
{
    if (sqlite3_open(path, &db) != SQLITE_OK)
        fail(path);
    run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
        "PRAGMA synchronous=OFF;"
        "CREATE TABLE job(seq INTEGER PRIMARY KEY, id BLOB UNIQUE, body BLOB,"
        " exit BLOB, ended INTEGER); CREATE INDEX ended ON job(ended)");
    if (sqlite3_prepare_v2(db, "INSERT INTO job VALUES(NULL, ?1, ?2, ?3, ?4)",
                           -1, &insert, NULL)
        != SQLITE_OK)
        fail("prepare");
}

static void record(const char *ends, long count, const char *body)
{
    static int64_t number;
    long i;

    run("BEGIN");
    for (i = 0; i < count; i++) {
        int64_t id[2] = {now_ns(), number++};

        (void)sqlite3_bind_blob(insert, 1, id, sizeof(id), SQLITE_TRANSIENT);
        (void)sqlite3_bind_blob(insert, 2, body, MESSAGE, SQLITE_STATIC);
        (void)sqlite3_bind_blob(insert, 3, ends + i * EXIT, EXIT,
                                SQLITE_STATIC);
        (void)sqlite3_bind_int64(insert, 4, id[0]);
        if (sqlite3_step(insert) != SQLITE_DONE)
            fail("insert");
        (void)sqlite3_reset(insert);
    }
    run("COMMIT");
}

static void order(int link, long *waiting, long *running, const char *message)
{
    while (*waiting > 0 && *running < what.in_flight) {
        if (send(link, message, MESSAGE, 0) < 0)
            fail("order");
        --*waiting;
        ++*running;
    }
}

static void serve(const int *callers, int link)
{
    static char ends[IN_ONE_GO][EXIT];
    struct epoll_event e = {.events = EPOLLIN}, seen[64];
    char message[MESSAGE] = "", answer[ANSWER] = "";
    long waiting = 0, running = 0, ended = 0, kept = 0, i;
    int poll = epoll_create1(EPOLL_CLOEXEC);

    for (i = 0; i <= what.callers; i++) {
        e.data.fd = i < what.callers ? callers[i] : link;
        (void)epoll_ctl(poll, EPOLL_CTL_ADD, e.data.fd, &e);
    }
    while (ended < what.callers * what.jobs) {
        int n = epoll_wait(poll, seen, 64, -1);

        for (i = 0; i < n; i++) {
            int fd = seen[i].data.fd;

            while (fd == link
                   && recv(link, ends[kept], EXIT, MSG_DONTWAIT) == EXIT) {
                running--;
                ended++;
                if (++kept == IN_ONE_GO) {
                    record(ends[0], kept, message);
                    kept = 0;
                }
            }
            if (fd == link)
                continue;
            if (recv(fd, message, sizeof(message), MSG_DONTWAIT) == MESSAGE) {
                waiting++;
                if (send(fd, answer, sizeof(answer), 0) < 0)
                    fail("answer");
            }
            else {
                (void)epoll_ctl(poll, EPOLL_CTL_DEL, fd, NULL);
            }
        }
        order(link, &waiting, &running, message);
    }
    record(ends[0], kept, message);
}

int main(int argc, char **argv)
{
    char directory[] = "/tmp/spawn-recorded-XXXXXX", path[64], clean[96];
    int callers[MOST], links[2], ends[2];
    int64_t from;
    long i;

    if (argc < 7) {
        (void)fprintf(stderr, "usage: recorded CALLERS JOBS IN_FLIGHT UID GID "
                              "PROGRAM [ARGUMENT]\n");
        return 2;
    }
    what.callers = strtol(argv[1], NULL, 10);
    what.jobs = strtol(argv[2], NULL, 10);
    what.in_flight = strtol(argv[3], NULL, 10);
    what.uid = (uid_t)strtol(argv[4], NULL, 10);
    what.gid = (gid_t)strtol(argv[5], NULL, 10);
    what.argv = argv + 6;
    if (what.callers < 1 || what.callers > MOST || what.in_flight < 1
        || what.in_flight > MOST || !mkdtemp(directory))
        return 2;
    (void)snprintf(path, sizeof(path), "%s/jobs.db", directory);
    (void)snprintf(clean, sizeof(clean), "rm -rf %s", directory);
    pair(links);
    if (fork() == 0) {
        (void)close(links[0]);
        start_them(links[1]);
    }
    (void)close(links[1]);
    open_store(path);
    from = now_ns();
    for (i = 0; i < what.callers; i++) {
        pair(ends);
        callers[i] = ends[0];
        if (fork() == 0) {
            (void)close(ends[0]);
            call(ends[1]);
        }
        (void)close(ends[1]);
    }
    serve(callers, links[0]);
    (void)printf("%.1f %ld\n",
                 (double)(what.callers * what.jobs) * 1e9
                     / (double)(now_ns() - from),
                 what.callers * what.jobs);
    (void)sqlite3_close(db);
    (void)close(links[0]);
    while (wait(NULL) > 0)
        continue;
    return system(clean);
}
