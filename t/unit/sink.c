/* SPDX-License-Identifier: Apache-2.0 */
/* Where a line of the log goes: to a file without waiting, or to the system's
 * log as the C library writes it, also after that was started anew. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <syslog.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_sink.h"

static void a_file_gets_the_whole_line(void **state)
{
    const spawn_sink sink = {spawn_os_memfd("log"), LOG_DAEMON, "tag"};
    char text[40] = "";

    (void)state;
    assert_int_equal(fcntl(sink.fd, F_SETFL, O_APPEND), 0);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "date text\n", 10, 5), 0);
    assert_int_equal(pread(sink.fd, text, sizeof(text), 0), 10);
    assert_string_equal(text, "date text\n");
    (void)close(sink.fd);
}

static void a_pipe_that_is_full_or_of_nobody_is_told(void **state)
{
    static const char much[65536];
    spawn_sink sink = {-1, 0, ""};
    int ends[2];

    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    sink.fd = ends[1];
    (void)alarm(20); /* it must not wait */
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, much, 65536, 0), 0);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0), -EAGAIN);
    (void)alarm(60);
    (void)close(ends[0]);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0), -EPIPE);
    (void)close(ends[1]);
}

static int in_one_page(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) < 0
        || fcntl(ends[1], F_SETPIPE_SZ, 1) < sysconf(_SC_PAGESIZE))
        return -1;
    (void)alarm(20); /* nothing here waits */
    return 0;
}

/* There is room, says poll, and then there is not: as when another one writes
 * in between. */
static void what_looks_as_if_it_had_room_is_not_waited_for(void **state)
{
    static const char much[5000];
    spawn_sink sink = {-1, 0, ""};
    struct pollfd p;
    int ends[2];

    (void)state;
    assert_int_equal(in_one_page(ends), 0);
    sink.fd = ends[1];
    p = (struct pollfd){ends[1], POLLOUT, 0};
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, much, 5000, 0), -EIO);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0), -EAGAIN);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    (void)alarm(60);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The same number, for us alone; httpd's stays as it is. */
static void a_pipe_of_ours_is_opened_once_more(void **state)
{
    static const char much[5000];
    spawn_sink sink = {-1, 0, ""};
    char text[8] = "";
    int ends[2];

    (void)state;
    assert_int_equal(in_one_page(ends), 0);
    sink.fd = dup(ends[1]);
    spawn_sink_own(sink.fd);
    assert_int_equal(fcntl(sink.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(fcntl(sink.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "a\n", 2, 0), 0);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "b\n", 2, 0), 0);
    assert_int_equal(read(ends[0], text, sizeof(text)), 4);
    assert_string_equal(text, "a\nb\n");
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, much, 5000, 0), -EIO);
    assert_int_equal(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0), -EAGAIN);
    (void)alarm(60);
    (void)close(ends[0]);
    (void)close(ends[1]);
    (void)close(sink.fd);
}

/* Its flags are those of all who have it: another one's end may rely on them.
 */
static void a_file_stays_as_it_was_opened(void **state)
{
    int fd = spawn_os_memfd("log");
    unsigned files = open_count();
    int ends[2];

    (void)state;
    spawn_sink_own(fd);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK), 0);
    assert_int_equal(open_count(), files);
    (void)close(fd);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    files = open_count();
    spawn_sink_own(ends[1]);
    assert_int_equal(open_count(), files);
    (void)close(ends[0]);
    (void)close(ends[1]);
    spawn_sink_own(ends[1]); /* closed */
    assert_int_equal(open_count(), files - 2);
}

/* No pipe of our own to pass it on from, or it does not hold the line: later,
 * and nothing of it now. */
static int has_no_way(void)
{
    static const char much[70000];
    struct rlimit limit;
    spawn_sink sink = {-1, 0, ""};
    int ends[2], there = -1;

    IS(pipe2(ends, O_CLOEXEC) == 0);
    sink.fd = ends[1];
    IS(spawn_sink_write(&sink, LOG_ERR, much, sizeof(much), 0) == -EAGAIN);
    IS(ioctl(ends[0], FIONREAD, &there) == 0 && there == 0);
    limit.rlim_cur = limit.rlim_max = (rlim_t)ends[1] + 1;
    IS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    IS(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0) == -EAGAIN);
    IS(ioctl(ends[0], FIONREAD, &there) == 0 && there == 0);
    return 0;
}

static void a_line_that_cannot_go_as_a_whole_comes_later(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(has_no_way);
}

/* A process that may not open it, and one that splice is denied to. */
static int of_another_account(void)
{
    spawn_sink sink = {-1, 0, ""};
    unsigned files;
    int ends[2];

    IS(in_one_page(ends) == 0);
    files = open_count();
    sink.fd = ends[1];
    if (geteuid() == 0)
        IS(setresuid(65534, 65534, 65534) == 0);
    else
        deny(SYS_openat, EACCES);
    spawn_sink_own(sink.fd);
    IS((fcntl(sink.fd, F_GETFL) & O_NONBLOCK) == 0);
    IS(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0) == 0);
    IS(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0) == -EAGAIN);
    IS(read(ends[0], &(char[8]){0}, 8) == 2);
    deny(SYS_splice, EPERM);
    IS(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0) == 0);
    IS(spawn_sink_write(&sink, LOG_ERR, "x\n", 2, 0) == -EAGAIN);
    IS(open_count() == files);
    return 0;
}

static void a_pipe_of_others_is_not_waited_for_either(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(of_another_account);
}

/* A stream to the journal, which others fill. */
static int into_a_socket(void)
{
    static const char much[4096];
    spawn_sink sink = {-1, 0, ""};
    int ends[2], n = 0, rv;

    (void)signal(SIGPIPE, SIG_DFL); /* which process 1 would not feel */
    IS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    sink.fd = ends[1];
    (void)alarm(20);
    while ((rv = spawn_sink_write(&sink, LOG_ERR, much, 4096, 0)) == 0)
        n++;
    (void)alarm(60);
    IS(rv == -EAGAIN);
    IS(n > 0);
    (void)close(ends[0]);
    IS(spawn_sink_write(&sink, LOG_ERR, much, 4096, 0) == -EPIPE);
    return 0;
}

static void a_socket_is_not_waited_for(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(into_a_socket);
}

static int cut_line(void)
{
    const spawn_sink sink = {spawn_os_memfd("log"), 0, ""};

    no_file_longer_than(5);
    IS(spawn_sink_write(&sink, LOG_ERR, "a long line\n", 12, 0) == -EIO);
    IS(spawn_sink_write(&sink, LOG_ERR, "another\n", 8, 0) == -EFBIG);
    return 0;
}

static void a_line_that_was_cut_is_an_error(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(cut_line);
}

static void a_sink_is_read_from_a_message(void **state)
{
    spawn_message m;
    spawn_writer w;
    spawn_sink sink;

    (void)state;
    spawn_writer_init(&w, 4096);
    spawn_writer_begin(&w, 1, 0);
    spawn_put_str(&w, SPAWN_A_TEXT, "server");
    assert_int_equal(spawn_body_parse(w.data + SPAWN_WIRE_HEADER,
                                      w.length - SPAWN_WIRE_HEADER,
                                      SPAWN_BODY_VHOST_LOG, 0, &m, NULL),
                     0);
    spawn_sink_read(&m, 7, &sink);
    assert_int_equal(sink.fd, 7);
    assert_int_equal(sink.facility, 0);
    assert_string_equal(sink.tag, "httpd");
    spawn_put_u64(&w, SPAWN_A_LOG_FACILITY, LOG_LOCAL7 | LOG_DEBUG | 1 << 20);
    spawn_put_str(&w, SPAWN_A_LOG_TAG, "www");
    assert_int_equal(spawn_body_parse(w.data + SPAWN_WIRE_HEADER,
                                      w.length - SPAWN_WIRE_HEADER,
                                      SPAWN_BODY_VHOST_LOG, 0, &m, NULL),
                     0);
    spawn_sink_read(&m, 7, &sink);
    assert_int_equal(sink.fd, -1);
    assert_int_equal(sink.facility, LOG_LOCAL7);
    assert_string_equal(sink.tag, "www");
    spawn_writer_free(&w);
}

/* ---- the system's log, in a /dev of its own ---- */

static const spawn_sink to_system = {-1, LOG_LOCAL3, "some tag"};

static int open_system(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)unlink("/dev/log");
    return bind(sock, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : sock;
}

static int write_system(const char *text)
{
    return spawn_sink_write(&to_system, LOG_WARNING, text, strlen(text), 5);
}

static int has_system(int log, const char *wanted)
{
    char got[300], end[200];
    struct tm tm = {0};
    ssize_t n = recv(log, got, sizeof(got) - 1, MSG_DONTWAIT);
    const char *p;

    if (n <= 0)
        return 0;
    got[n] = '\0';
    (void)snprintf(end, sizeof(end), " some tag[%d]: %s", (int)getpid(),
                   wanted);
    p = strncmp(got, "<156>", 5) == 0 ? strptime(got + 5, "%b %e %T", &tm)
                                      : NULL;
    return p && strcmp(p, end) == 0
           && labs(time(NULL) % 60 - tm.tm_sec) % 58 <= 2;
}

static int logs_to_system(void)
{
    char wanted[80];
    unsigned before;
    int log, i;

    if (unshare(CLONE_NEWNS) < 0
        || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0
        || mount("none", "/dev", "tmpfs", 0, NULL) < 0)
        return 0; /* not to be had in this container */
    IS(write_system("date nobody\n") == -EAGAIN); /* it may come */
    before = open_count();
    log = open_system();
    IS(log >= 0);
    IS(write_system("date one\n") == 0);
    IS(has_system(log, "one"));
    (void)close(log); /* started anew */
    log = open_system();
    IS(write_system("date two\n") == 0);
    IS(has_system(log, "two"));
    spawn_log_main(&to_system);
    spawn_log(SPAWN_LOG_WARN, "MS9999: a line");
    (void)snprintf(wanted, sizeof(wanted),
                   "[spawn:warn] [pid %d] MS9999: a line", (int)getpid());
    IS(has_system(log, wanted));
    for (i = 0; i < 5000 && write_system("date three\n") == 0; i++)
        continue;
    IS(i < 5000 && write_system("date four\n") == -EAGAIN); /* full */
    IS(has_system(log, "three"));
    IS(open_count() == before + 2);
    (void)close(log);
    (void)unlink("/dev/log");
    IS(write_system("date five\n") == -EAGAIN);
    IS(open_count() == before);
    return 0;
}

static void the_systems_log_gets_it_as_from_the_c_library(void **state)
{
    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "not root");
    HOLDS_IN_A_CHILD(logs_to_system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_the_whole_line),
        cmocka_unit_test(a_pipe_that_is_full_or_of_nobody_is_told),
        cmocka_unit_test(what_looks_as_if_it_had_room_is_not_waited_for),
        cmocka_unit_test(a_pipe_of_ours_is_opened_once_more),
        cmocka_unit_test(a_file_stays_as_it_was_opened),
        cmocka_unit_test(a_line_that_cannot_go_as_a_whole_comes_later),
        cmocka_unit_test(a_pipe_of_others_is_not_waited_for_either),
        cmocka_unit_test(a_socket_is_not_waited_for),
        cmocka_unit_test(a_line_that_was_cut_is_an_error),
        cmocka_unit_test(a_sink_is_read_from_a_message),
        cmocka_unit_test(the_systems_log_gets_it_as_from_the_c_library),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
