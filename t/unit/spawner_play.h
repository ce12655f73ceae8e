/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner alone: the test's program plays the httpd parent and the broker.
 *
 * The broker that the spawner executes is the program again: it hands its link
 * over a socket to the test and ends when the test wants it to, so that every
 * order and every report is written and read in the test.
 */
#ifndef SPAWNER_PLAY_H
#define SPAWNER_PLAY_H

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_process.h"
#include "common/spawn_proto.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_release.h"

#ifndef DEADLINE_MS
#define DEADLINE_MS 60000
#endif
#define NOBODY 65534

static char dir[64];
static char handover_path[108];
static int handover = -1; /* listening: here brokers bring their links */
static int control = -1;  /* the parent's end */
static int control_socket = -1;
static int link_fd = -1; /* the broker's end of its link */
static int relay = -1;   /* to the process that the spawner calls broker */
static pid_t spawner_pid;
static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
static spawn_packet packet;
static spawn_message message;
static spawn_failure why;

/* ---- the broker's process ---- */

static inline int unix_address(const char *path, struct sockaddr_un *a)
{
    memset(a, 0, sizeof(*a));
    a->sun_family = AF_UNIX;
    (void)snprintf(a->sun_path, sizeof(a->sun_path), "%.107s", path);
    return (int)sizeof(*a);
}

static inline int be_the_broker(const char *path)
{
    struct sockaddr_un a;
    uint8_t head[SPAWN_WIRE_HEADER] = {0};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int link = 3;

    if (connect(sock, (struct sockaddr *)&a, (socklen_t)unix_address(path, &a))
            < 0
        || spawn_packet_send(sock, head, sizeof(head), &link, 1) < 0)
        return 3;
    (void)close(link);
    (void)!read(sock, head, 1); /* until the test closes */
    return 0;
}

/* ---- playing both sides ---- */

static inline void wait_readable(int fd)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
}

/* An EXITED that tells of the start, too, is for the tests what it is for the
 * broker: a STARTED, and an EXITED after it. */
static uint8_t end_left[SPAWN_WIRE_HEADER + 1024];
static size_t end_left_bytes;
static unsigned told_at_once; /* so many were such ones */

static inline void next_message(int fd, unsigned from)
{
    spawn_packet_close(&packet);
    if (fd == link_fd && end_left_bytes) {
        assert_int_equal(spawn_message_parse(end_left, end_left_bytes, from, 0,
                                             &message, &why),
                         0);
        end_left_bytes = 0;
        return;
    }
    wait_readable(fd);
    assert_int_equal(spawn_packet_receive(fd, buffer, sizeof(buffer), &packet),
                     1);
    if (spawn_message_parse(packet.data, packet.length, from, packet.fds_count,
                            &message, &why)
        != 0)
        fail_msg("%s", why.text);
    if (message.header.type == SPAWN_M_EXITED
        && spawn_has(&message, SPAWN_A_MONO_STARTED)) {
        memcpy(end_left, packet.data, packet.length);
        end_left_bytes = packet.length;
        told_at_once++;
        message.header.type = SPAWN_M_STARTED;
    }
}

static inline void expect_link(unsigned type)
{
    next_message(link_fd, SPAWN_FROM_SPAWNER);
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
}

static inline void expect_control(unsigned type)
{
    next_message(control, SPAWN_FROM_SPAWNER_TO_PARENT);
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
}

static inline void send_on(int fd, spawn_writer *w, const int *fds,
                           unsigned count)
{
    struct pollfd p = {fd, POLLOUT, 0};
    int rv;

    assert_int_equal(spawn_writer_finish(w, count), 0);
    while ((rv = spawn_packet_send(fd, w->data, w->length, fds, count))
           == -EAGAIN)
        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(rv, 0);
    spawn_writer_free(w);
}

/* Launch orders after this: somebody waits for their start. */
static bool start_is_awaited;

static inline void begin(spawn_writer *w, uint16_t type)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, type, type == SPAWN_M_LAUNCH && start_is_awaited);
}

static inline void send_plain(int fd, uint16_t type)
{
    spawn_writer w;

    begin(&w, type);
    send_on(fd, &w, NULL, 0);
}

static inline void send_id(uint16_t type, const spawn_id *id)
{
    spawn_writer w;

    begin(&w, type);
    spawn_put_id(&w, SPAWN_A_ID, id);
    send_on(link_fd, &w, NULL, 0);
}

static inline void put_identity(spawn_writer *w)
{
    if (geteuid() != 0)
        return;
    spawn_put_u64(w, SPAWN_A_UID, NOBODY);
    spawn_put_u64(w, SPAWN_A_GID, NOBODY);
    spawn_put_u64(w, SPAWN_A_BROKER_UID, NOBODY);
    spawn_put_u64(w, SPAWN_A_BROKER_GID, NOBODY);
}

static char spawner_program[4096];

/* The file limit of CONFIGURE, when it has one. */
static const uint64_t *file_limit;

/* The error log of a virtual host, when there is one. */
static int vhost_log = -1;

/* newer: with attributes that today's spawner does not know. */
static bool newer;

/* Puts further attributes into CONFIGURE, when there are some. */
static void (*configure_more)(spawn_writer *w);

/* The post socket's receiving end, when there is one. */
static int post_rx = -1;

/* Puts further rules into CONFIGURE; or NULL. */
static void (*more_rules)(spawn_writer *w);

static inline void add_role(uint64_t *roles, int *fds, unsigned *count,
                            uint64_t role, int fd)
{
    if (fd < 0)
        return;
    roles[*count] = role;
    fds[(*count)++] = dup(fd);
}

static inline void send_configure(const char *release)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    uint64_t roles[5] = {SPAWN_FD_BROKER_BIN, SPAWN_FD_SPAWNER_BIN,
                         SPAWN_FD_CONTROL};
    unsigned count = 3;
    int fds[5];
    spawn_writer w;
    spawn_id life;
    size_t mark;

    assert_int_equal(spawn_id_make(&life), 0);
    fds[0] = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    fds[1] = open(spawner_program, O_PATH | O_CLOEXEC);
    fds[2] = dup(control_socket);
    add_role(roles, fds, &count, SPAWN_FD_VHOST_LOG, vhost_log);
    add_role(roles, fds, &count, SPAWN_FD_POST_RX, post_rx);
    begin(&w, SPAWN_M_CONFIGURE);
    spawn_put_str(&w, SPAWN_A_RELEASE, release);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_id(&w, SPAWN_A_INSTANCE, &life);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, count);
    mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(&w, SPAWN_A_MAX_JOBS, 10);
    spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, 10);
    spawn_close(&w, mark);
    spawn_put_u64(&w, SPAWN_A_PARENT_PID, (uint64_t)getpid());
    spawn_put_str(&w, SPAWN_A_STORE_PATH, dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, handover_path);
    put_identity(&w);
    if (configure_more)
        configure_more(&w);
    if (more_rules)
        more_rules(&w);
    if (newer)
        spawn_put_u64(&w, SPAWN_A_COUNT + 7, 1);
    if (file_limit)
        spawn_put_u64v(&w, SPAWN_A_FILE_LIMIT, file_limit, 2);
    send_on(control, &w, fds, count);
    spawn_close_fds(fds, count);
}

/* The next broker brings its link. The hand-over is no message of the
 * protocol: the descriptor is taken by hand. */
static inline void take_link(void)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } c;
    char byte[SPAWN_WIRE_HEADER];
    struct iovec part = {byte, sizeof(byte)};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = c.room,
                       .msg_controllen = sizeof(c.room)};

    wait_readable(handover);
    relay = accept4(handover, NULL, NULL, SOCK_CLOEXEC);
    assert_true(relay >= 0);
    assert_true(recvmsg(relay, &m, MSG_CMSG_CLOEXEC) > 0);
    memcpy(&link_fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
}

static inline void drop_broker(void)
{
    if (relay >= 0)
        (void)close(relay);
    if (link_fd >= 0)
        (void)close(link_fd);
    relay = link_fd = -1;
}

static inline void say_ready(uint64_t code, const char *text)
{
    spawn_writer w;

    begin(&w, SPAWN_M_BROKER_READY);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    spawn_put_str(&w, SPAWN_A_TEXT, text);
    send_on(link_fd, &w, NULL, 0);
}

/* Done in the spawner's process before it is executed. */
static void (*before_exec)(void);

static inline int start_spawner(void **state)
{
    char *argv[] = {(char *)(uintptr_t) "mod_spawn spawner", handover_path,
                    NULL};
    char path[108];
    struct sockaddr_un a;
    int ends[2];

    (void)state;
    (void)strcpy(dir, "/tmp/spawner-test-XXXXXX");
    if (!mkdtemp(dir) || chmod(dir, 0777) < 0)
        return -1;
    (void)snprintf(handover_path, sizeof(handover_path), "%s/handover", dir);
    (void)snprintf(path, sizeof(path), "%s/control", dir);
    handover = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)bind(handover, (struct sockaddr *)&a,
               (socklen_t)unix_address(handover_path, &a));
    (void)chmod(handover_path, 0666);
    (void)listen(handover, 5);
    control_socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    (void)bind(control_socket, (struct sockaddr *)&a,
               (socklen_t)unix_address(path, &a));
    (void)listen(control_socket, 5);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0
        || spawn_os_pass_credentials(ends[1]) < 0
        || spawn_os_pass_credentials(control_socket) < 0)
        return -1;
    end_left_bytes = 0;
    start_is_awaited = false;
    spawner_pid = fork();
    if (spawner_pid == 0) {
        /* Another account may be unable to enter the build. */
        int program = open(spawner_program, O_PATH | O_CLOEXEC);

        program = fcntl(program, F_DUPFD_CLOEXEC, 10);
        (void)dup2(ends[1], 3);
        (void)fcntl(3, F_SETFD, 0);
        if (before_exec)
            before_exec();
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)spawn_os_exec_fd(program, argv, environ);
        _exit(9);
    }
    (void)close(ends[1]);
    control = ends[0];
    return 0;
}

/* It ends by itself: its wait status. */
static inline int spawner_ends(void)
{
    struct pollfd p = {spawn_os_pidfd(spawner_pid), POLLIN, 0};
    int status;

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    (void)close(p.fd);
    assert_int_equal(waitpid(spawner_pid, &status, 0), spawner_pid);
    spawner_pid = 0;
    return status;
}

static inline int remove_dir(void)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s 2>/dev/null", dir);
    return system(command);
}

static inline int stop_spawner(void **state)
{
    (void)state;
    drop_broker();
    if (control >= 0)
        (void)close(control);
    if (spawner_pid > 0) {
        (void)kill(spawner_pid, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(spawner_pid, NULL, 0);
    }
    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    (void)close(handover);
    (void)close(control_socket);
    handover = control = control_socket = -1;
    before_exec = NULL;
    file_limit = NULL;
    configure_more = NULL;
    return remove_dir();
}

/* The usual start: configured, a broker that is ready, READY told. */
static inline void reach_ready(void)
{
    send_configure(SPAWN_RELEASE);
    take_link();
    expect_link(SPAWN_M_CONFIGURE);
    expect_link(SPAWN_M_TABLE_END);
    say_ready(SPAWN_E_OK, "");
    expect_control(SPAWN_M_READY);
    send_plain(control, SPAWN_M_GO);
    expect_link(SPAWN_M_GO);
}

static inline void launch_into(const char *path, const spawn_id *id,
                               const char *program, const char *arg,
                               const char *cwd)
{
    const spawn_stdio log = {SPAWN_STDIO_PATH, SPAWN_STDIO_APPEND, 0, ""};
    spawn_stdio out = log;
    spawn_writer w;
    size_t mark;

    out.path = path;
    begin(&w, SPAWN_M_LAUNCH);
    spawn_put_id(&w, SPAWN_A_ID, id);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, program, strlen(program));
    if (arg) {
        spawn_add_text(&w, mark, "-c", 2);
        spawn_add_text(&w, mark, arg, strlen(arg));
    }
    spawn_close(&w, mark);
    mark = spawn_open_strv(&w, SPAWN_A_ENV);
    spawn_close(&w, mark);
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &out);
    if (cwd)
        spawn_put_str(&w, SPAWN_A_CWD, cwd);
    send_on(link_fd, &w, NULL, 0);
}

static inline void launch(const spawn_id *id, const char *program,
                          const char *arg, const char *cwd)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    launch_into(path, id, program, arg, cwd);
}

static inline void expect_id(unsigned type, const spawn_id *id)
{
    spawn_id got;

    expect_link(type);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    assert_true(spawn_id_equal(&got, id));
}

static inline void expect_exit(const spawn_id *id, int code)
{
    expect_id(SPAWN_M_EXITED, id);
    assert_false(spawn_has(&message, SPAWN_A_STEP));
    assert_int_equal(
        WEXITSTATUS((int)spawn_u64_or(&message, SPAWN_A_WAIT_STATUS, 99)),
        code);
}

/* The job wrote something: it is past what stands before that in its script.
 * inotify would tell the event; a size looked at with a deadline is enough. */
static inline void wait_for_output(off_t at_least)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/out", dir);
    while (stat(path, &st) < 0 || st.st_size < at_least) {
        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

static inline void new_id(spawn_id *id)
{
    assert_int_equal(spawn_id_make(id), 0);
}

static inline void expect_failed(const spawn_id *id, spawn_step step, int error)
{
    expect_id(SPAWN_M_EXITED, id);
    assert_string_equal(
        spawn_step_name((unsigned)spawn_u64_or(&message, SPAWN_A_STEP, 0)),
        spawn_step_name(step));
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ERRNO, 0), error);
    assert_false(spawn_has(&message, SPAWN_A_WAIT_STATUS)); /* either, or */
}

static inline int connect_control(void)
{
    char path[108];
    struct sockaddr_un a;
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)snprintf(path, sizeof(path), "%s/control", dir);
    assert_int_equal(
        connect(sock, (struct sockaddr *)&a, (socklen_t)unix_address(path, &a)),
        0);
    return sock;
}

/* The parent has gone and its pair is adopted: link and CONFIGURE of the new
 * one. */
static inline void adopt(void)
{
    control = connect_control();
    send_plain(control, SPAWN_M_ADOPT);
    expect_control(SPAWN_M_ADOPTED);
    send_configure(SPAWN_RELEASE);
}

/** The first lines in main of each such program: it is the broker when the
 * spawner executes it as that. */
#define BE_THE_BROKER_IF_ASKED(argc, argv)                                     \
    do {                                                                       \
        const char *build = getenv("SPAWN_BUILD");                             \
                                                                               \
        if ((argc) > 0 && strcmp((argv)[0], "mod_spawn broker") == 0)          \
            return be_the_broker((argv)[1]);                                   \
        (void)snprintf(spawner_program, sizeof(spawner_program),               \
                       "%s/mod_spawn/spawner", build ? build : "build");       \
    } while (0)

#endif
