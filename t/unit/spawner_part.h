/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the spawner without its process: the test includes it behind this
 * header and sets its state. Calls of that file to the others are written down
 * here and do nothing else, but for the parts that a test asks to be real (by
 * defining PART_HAS_... and including them, too).
 */
#ifndef SPAWNER_PART_H
#define SPAWNER_PART_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "common/spawn_release.h"
#include "spawner/spawner.h"

#ifndef DEADLINE_MS
#define DEADLINE_MS 60000
#endif
#define NOBODY 65534

spawner_state spawner;

/* ---- what was called ---- */

static char called[4096];

static __attribute__((format(printf, 1, 2))) void note(const char *fmt, ...)
{
    size_t n = strlen(called);
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(called + n, sizeof(called) - n, fmt, args);
    va_end(args);
    n = strlen(called);
    (void)snprintf(called + n, sizeof(called) - n, "; ");
}

/* Since the last time. */
#define expect_called(what)                                                    \
    do {                                                                       \
        assert_string_equal(called, what);                                     \
        called[0] = '\0';                                                      \
    } while (0)

/* ---- poll.c ---- */

static jmp_buf spawner_ends;
static int end_code;

/** Does this end the spawner? */
#define ENDS(what) (setjmp(spawner_ends) ? true : ((what), false))

void spawner_end(int code, const char *text)
{
    (void)text;
    end_code = code;
    longjmp(spawner_ends, 1);
}

static const char *what_name(uint64_t what)
{
    static const char *const names[] = {
        "",       "signal", "control", "adopt",    "listen",
        "parent", "link",   "start",   "template", "its end"};

    return names[what >> 32];
}

static const char *event_names(uint32_t events)
{
    return events == EPOLLIN                ? "in"
           : events == (EPOLLIN | EPOLLOUT) ? "in, out"
           : events == 0                    ? "none"
                                            : "others";
}

int watch(int fd, uint64_t what, uint32_t events)
{
    (void)fd;
    note("watch %s %s", what_name(what), event_names(events));
    return 0;
}

void rewatch(int fd, uint64_t what, uint32_t events)
{
    (void)fd;
    note("rewatch %s %s", what_name(what), event_names(events));
}

void unwatch(int *fd)
{
    spawn_close_fds(fd, 1);
}

void unwatch_passed(int *fd)
{
    if (*fd >= 0)
        note("closed with care");
    spawn_close_fds(fd, 1);
}

void give_away(int fd)
{
    (void)close(fd);
}

/* ---- tree.c ---- */

static pid_t tree_child; /* a job's process outside of its group; 0: none */

#ifndef PART_HAS_TREE
void tree_signal(const job *j, int signo)
{
    (void)j;
    note("tree %d", signo);
}

pid_t tree_left(const job *j)
{
    (void)j;
    return tree_child;
}
#endif

/* ---- cgroup.c ---- */

#ifndef PART_HAS_CGROUP
void cgroup_leave(job *j)
{
    if (j->cgroup)
        note("its directory is left");
    j->cgroup = 0;
}

void cgroup_usage(job *j)
{
    if (j->cgroup)
        note("its directory is read");
}

void cgroup_kill(const job *j)
{
    if (j->cgroup)
        note("its directory is ended");
}

bool cgroup_is_current(const job *j)
{
    return j->cgroup == 1;
}

int cgroup_base(unsigned i)
{
    (void)i;
    return -1;
}

void cgroup_resume_base(int fd)
{
    (void)close(fd);
    note("a directory of cgroups");
}

void cgroup_resume(job *j, unsigned place, bool was_put)
{
    (void)place;
    j->cgroup = 1;
    j->in_cgroup = was_put;
}
#endif

/* The function that the test calls does not come back. */
static void goes_on_for_ever(int signo)
{
    static const char text[] = "not ok - it goes on for ever\n";

    (void)signo;
    (void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
    _exit(1);
}

static __attribute__((unused)) void no_state(void)
{
    size_t i;

    memset(&spawner, 0, sizeof(spawner));
    for (i = 0; i < SPAWN_FD_ROLES; i++)
        spawner.fds[i] = -1;
    spawner.control = spawner.adopter = spawner.link = spawner.epoll = -1;
    spawner.failures[0] = spawner.failures[1] = -1;
    called[0] = '\0';
    tree_child = 0;
    (void)signal(SIGALRM, goes_on_for_ever);
    (void)alarm(DEADLINE_MS / 1000);
}

/* ---- the log ---- */

static int log_end = -1; /* its lines can be read here */

/** From now on. */
static __attribute__((unused)) void read_log(void)
{
    spawn_sink sink;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    if (log_end >= 0)
        (void)close(log_end);
    log_end = ends[0];
    memset(&sink, 0, sizeof(sink));
    sink.fd = ends[1];
    spawn_log_main(&sink);
    spawn_log_level(SPAWN_LOG_DEBUG);
}

/** Is this in what it has said since it was asked last? */
static __attribute__((unused)) bool log_says(const char *what)
{
    static char text[65536];
    ssize_t n = read(log_end, text, sizeof(text) - 1);

    text[n > 0 ? n : 0] = '\0';
    return strstr(text, what) != NULL;
}

#define expect_logged(what) assert_true(log_says(what))
/** Nothing was, at all. */
#define expect_no_line() assert_false(log_says("MS0"))

/* ---- messages ---- */

static uint8_t part_buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
static spawn_packet part_packet;
static spawn_message got; /* the last one */

/** Is there a message of this type at this end? It stands in got. */
static __attribute__((unused)) bool comes(int fd, unsigned from, unsigned type)
{
    spawn_failure failure;

    spawn_packet_close(&part_packet);
    memset(&part_packet, 0, sizeof(part_packet));
    if (spawn_packet_receive(fd, part_buffer, sizeof(part_buffer), &part_packet)
        != 1)
        return false;
    if (spawn_message_parse(part_packet.data, part_packet.length, from,
                            part_packet.fds_count, &got, &failure)
        != 0)
        fail_msg("%s", failure.text);
    return got.header.type == type;
}

/** Nothing, and no end. */
static __attribute__((unused)) void expect_quiet(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static __attribute__((unused)) void expect_closed(int fd)
{
    char byte;

    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static __attribute__((unused)) void begin(spawn_writer *w, uint16_t type)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, type, 0);
}

static __attribute__((unused)) void send_on(int fd, spawn_writer *w,
                                            const int *fds, unsigned count)
{
    assert_int_equal(spawn_writer_finish(w, count), 0);
    assert_int_equal(spawn_packet_send(fd, w->data, w->length, fds, count), 0);
    spawn_writer_free(w);
}

static __attribute__((unused)) void send_type(int fd, uint16_t type)
{
    spawn_writer w;

    begin(&w, type);
    send_on(fd, &w, NULL, 0);
}

static __attribute__((unused)) void make_pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                0, ends),
                     0);
}

static __attribute__((unused)) bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static __attribute__((unused)) bool is_same_file(int a, int b)
{
    struct stat of_a, of_b;

    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0
           && of_a.st_ino == of_b.st_ino && of_a.st_dev == of_b.st_dev;
}

/* ---- the other files ---- */

#ifndef PART_HAS_TABLE
static unsigned jobs_alive;

uint32_t table_jobs(void)
{
    return jobs_alive;
}
#endif

#ifndef PART_HAS_BROKER
void broker_start(void)
{
    note("broker_start");
}

void broker_configure(void)
{
    note("broker_configure");
}

void tell_go(void)
{
    note("tell_go");
}

void tell_places(void)
{
    note("tell_places");
}

void tell_linger(void)
{
    note("tell_linger");
}

void tell_quit(void)
{
    note("tell_quit");
}

void tell_step_over(const spawn_id *id)
{
    (void)id;
    note("step_over");
}

void tell_alive(void)
{
    note("tell_alive");
}
#endif

#ifndef PART_HAS_WATCHDOG
static bool watchdog_hears;

void watchdog_begin(int64_t now)
{
    (void)now;
}

void watchdog_heard(void)
{
    watchdog_hears = true;
}
#endif

#ifndef PART_HAS_UPGRADE
int upgrade_exec(void)
{
    note("upgrade_exec");
    return -ENOEXEC;
}
#endif

#ifndef PART_HAS_RESERVE
void reserve_fill(void)
{
}

void reserve_use(void)
{
}
#endif

#ifndef PART_HAS_PROGRAMS
static __attribute__((unused)) bool are_replaced;

void programs_note_broker(void)
{
}

bool programs_replaced(void)
{
    return are_replaced;
}
#endif

#ifndef PART_HAS_CONFIG
static int config_result;

int config_take(const spawn_message *m, const void *body, size_t length,
                int *fds, unsigned count)
{
    (void)m;
    (void)body;
    (void)length;
    (void)fds;
    note("config_take %u", count);
    return config_result;
}

void config_take_fds(const spawn_message *m, int *fds, unsigned count)
{
    (void)m;
    (void)fds;
    note("config_take_fds %u", count);
}
#endif

#ifndef PART_HAS_PARENT
static bool httpd_has_gone; /* and nobody has seen it */

bool control_has_gone(void)
{
    return spawner.lingering || httpd_has_gone;
}

void control_leave(void)
{
    note("control_leave");
}

void control_tell_ready(bool ready, const char *text)
{
    note("%s '%s'", ready ? "ready" : "not ready", text);
}
#endif

#endif
