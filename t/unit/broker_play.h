/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker alone: the test's program plays the spawner, with templates and
 * jobs that are only told of. broker_play_store.h has its store.
 */
#ifndef BROKER_PLAY_H
#define BROKER_PLAY_H

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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "common/spawn_board.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "common/spawn_release.h"
#include "t/unit/broker_play_store.h"
#include "t/unit/corner.h"
#include "t/unit/place.h"

static char broker_program[4096];
static pid_t broker;
static int link_fd = -1;
static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
static spawn_packet packet;
static spawn_message message;
static spawn_failure why;
static const char *rules; /* preload of the template app; NULL: no template */
static uint64_t template_memory; /* SPAWN_MEMORY_ of that; 0: not said */
static uint64_t template_jobs;   /* then it is replaced; 0: never for that */
static unsigned template_kind = SPAWN_TEMPLATE_EXEC;
static unsigned workers_min, workers_max;   /* of the queue default */
static uint64_t worker_idle;                /* ms */
static uint64_t worker_jobs, worker_memory; /* 0: no limit */
static int64_t history_jobs = -1;           /* SpawnHistory; -1: not told */
static int64_t history_age;                 /* ms; 0: none */
static char listen_path[108];               /* where callers are taken */
static int post_fds[2] = {-1, -1};          /* sending end, receiving end */
static int inbox_fd = -1;
static uid_t httpds_uid; /* httpd's User; 0: who runs the test */
static bool any_account; /* or its children have any account */
static bool on_stop_kills;
static void (*more_rules)(spawn_writer *w); /* put into CONFIGURE; or NULL */
static const char *const *more_queues;      /* names; NULL: default alone */
static int site_log = -1;       /* error log of the virtual host "site" */
static bool job_names;          /* jobs are those of user they, group theirs */
static bool log_is_kept;        /* brokers' lines go to a file */
static void (*in_broker)(void); /* called in its process, before it is it */
static uint64_t queue_jobs = 10, queue_waits = 10; /* of the queue default */
static uint64_t queue_timeout;                     /* ms; 0: none */
static int64_t queue_delays = -1; /* SpawnMaxDelayed; -1: not told */
static spawn_id tell_pid[256];    /* jobs whose TELL_PID was put aside */
static unsigned tell_pid_count;

/* ---- playing the spawner ---- */

/* Brokers that are started after this have an inbox. */
static inline void make_inbox(void)
{
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                0, post_fds),
                     0);
    assert_int_equal(spawn_os_pass_credentials(post_fds[1]), 0);
    inbox_fd = spawn_os_memfd("inbox");
    assert_true(inbox_fd >= 0);
}

/* Its jobs are lost. */
static inline void empty_inbox(void)
{
    assert_int_equal(ftruncate(inbox_fd, 0), 0);
}

static inline void any_message(void)
{
    struct pollfd p = {link_fd, POLLIN, 0};

    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(
        spawn_packet_receive(link_fd, buffer, sizeof(buffer), &packet), 1);
    if (spawn_message_parse(packet.data, packet.length,
                            SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                            &message, &why)
        != 0)
        fail_msg("%s", why.text);
}

/*
 * A broker that has heard nothing of an order for 250 ms asks for its process:
 * on a busy machine we are that late ourselves, and it comes between any two
 * others. It is put aside for who waits for it.
 */
static inline bool put_aside(void)
{
    if (message.header.type != SPAWN_M_TELL_PID)
        return false;
    assert_true(tell_pid_count < sizeof(tell_pid) / sizeof(tell_pid[0]));
    spawn_attr_id(&message.attr[SPAWN_A_ID], &tell_pid[tell_pid_count++]);
    return true;
}

static inline void next_message(void)
{
    do {
        any_message();
    } while (put_aside());
}

static inline bool was_put_aside(const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < tell_pid_count; i++)
        if (spawn_id_equal(&tell_pid[i], id))
            return true;
    return false;
}

static inline void expect(unsigned type)
{
    if (type == SPAWN_M_TELL_PID)
        any_message();
    else
        next_message();
    assert_string_equal(spawn_message_name(message.header.type),
                        spawn_message_name(type));
}

/* The message that has come is about this job. */
static inline void is_of(const spawn_id *id)
{
    spawn_id got;

    if (message.header.type == SPAWN_M_FORGET
        && spawn_has(&message, SPAWN_A_IDS)) {
        assert_int_equal(message.attr[SPAWN_A_IDS].length, SPAWN_ID_SIZE);
        memcpy(got.bytes, message.attr[SPAWN_A_IDS].data, SPAWN_ID_SIZE);
    }
    else {
        spawn_attr_id(&message.attr[SPAWN_A_ID], &got);
    }
    assert_true(spawn_id_equal(&got, id));
}

static inline void expect_id(unsigned type, const spawn_id *id)
{
    if (type == SPAWN_M_TELL_PID && was_put_aside(id))
        return;
    expect(type);
    is_of(id);
}

/* Nothing comes there. */
static inline void quiet_at(int fd, int ms)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, ms), 0);
}

/* Nothing comes but what is put aside. */
static inline void quiet_for(int ms)
{
    struct pollfd p = {link_fd, POLLIN, 0};
    int64_t end = spawn_mono_ms() + ms, left;

    while ((left = end - spawn_mono_ms()) > 0 && poll(&p, 1, (int)left)) {
        any_message();
        if (!put_aside())
            fail_msg("%s", spawn_message_name(message.header.type));
    }
}

static inline void send_fds(spawn_writer *w, const int *fds, unsigned count)
{
    assert_int_equal(spawn_writer_finish(w, count), 0);
    assert_int_equal(spawn_packet_send(link_fd, w->data, w->length, fds, count),
                     0);
    spawn_writer_free(w);
}

static inline void begin(spawn_writer *w, uint16_t type, const spawn_id *id)
{
    spawn_writer_init(w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(w, type, 0);
    if (id)
        spawn_put_id(w, SPAWN_A_ID, id);
}

static inline void say(uint16_t type)
{
    spawn_writer w;

    begin(&w, type, NULL);
    send_fds(&w, NULL, 0);
}

static inline void put_template(spawn_writer *w)
{
    size_t nest = spawn_open_nest(w, SPAWN_A_TEMPLATE_RULES), list;

    spawn_put_str(w, SPAWN_A_TEMPLATE, "app");
    spawn_put_u64(w, SPAWN_A_TEMPLATE_KIND, template_kind);
    spawn_put_str(w, SPAWN_A_PERL, "/usr/bin/perl");
    if (template_jobs)
        spawn_put_u64(w, SPAWN_A_TEMPLATE_JOBS, template_jobs);
    if (template_memory)
        spawn_put_u64(w, SPAWN_A_TEMPLATE_MEMORY, template_memory);
    list = spawn_open_strv(w, SPAWN_A_PRELOAD);
    spawn_add_text(w, list, rules, strlen(rules));
    spawn_close(w, list);
    spawn_close(w, nest);
}

static inline int listen_for_callers(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int sock =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(listen_path, sizeof(listen_path), "%s/socket", dir);
    (void)unlink(listen_path);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%.107s", listen_path);
    assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(sock, 5), 0);
    return sock;
}

static inline void put_queues(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES), i;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    spawn_put_u64(w, SPAWN_A_MAX_JOBS, queue_jobs);
    spawn_put_u64(w, SPAWN_A_MAX_QUEUED, queue_waits);
    if (queue_timeout)
        spawn_put_u64(w, SPAWN_A_TIMEOUT, queue_timeout);
    if (queue_delays >= 0)
        spawn_put_u64(w, SPAWN_A_MAX_DELAYED, (uint64_t)queue_delays);
    if (workers_max) {
        spawn_put_u64(w, SPAWN_A_WORKERS_MIN, workers_min);
        spawn_put_u64(w, SPAWN_A_WORKERS_MAX, workers_max);
        spawn_put_u64(w, SPAWN_A_WORKER_IDLE, worker_idle);
        if (worker_jobs)
            spawn_put_u64(w, SPAWN_A_WORKER_JOBS, worker_jobs);
        if (worker_memory)
            spawn_put_u64(w, SPAWN_A_WORKER_MEMORY, worker_memory);
    }
    spawn_close(w, mark);
    for (i = 0; more_queues && more_queues[i]; i++) {
        mark = spawn_open_nest(w, SPAWN_A_QUEUE_RULES);
        spawn_put_str(w, SPAWN_A_QUEUE, more_queues[i]);
        spawn_put_u64(w, SPAWN_A_MAX_JOBS, queue_jobs);
        spawn_put_u64(w, SPAWN_A_MAX_QUEUED, queue_waits);
        spawn_close(w, mark);
    }
}

static inline void say_configure(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    uint64_t roles[] = {SPAWN_FD_LISTEN, SPAWN_FD_POST_RX, SPAWN_FD_INBOX, 0};
    int fds[] = {listen_for_callers(), post_fds[1], inbox_fd, -1};
    unsigned count = inbox_fd >= 0 ? 3 : 1;
    char path[128];
    spawn_writer w;
    size_t mark;

    if (site_log >= 0) {
        roles[count] = SPAWN_FD_VHOST_LOG;
        fds[count++] = site_log;
    }
    (void)snprintf(path, sizeof(path), "%s/socket", dir);
    begin(&w, SPAWN_M_CONFIGURE, NULL);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_id(&w, SPAWN_A_INSTANCE, &life);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, count);
    put_queues(&w);
    if (site_log >= 0) {
        mark = spawn_open_nest(&w, SPAWN_A_VHOST_LOG);
        spawn_put_str(&w, SPAWN_A_TEXT, "site");
        spawn_put_u64(&w, SPAWN_A_SEQ, 0);
        spawn_close(&w, mark);
    }
    if (job_names) {
        spawn_put_str(&w, SPAWN_A_JOB_USER, "they");
        spawn_put_str(&w, SPAWN_A_JOB_GROUP, "theirs");
    }
    if (rules)
        put_template(&w);
    if (more_rules)
        more_rules(&w);
    if (history_jobs >= 0)
        spawn_put_u64(&w, SPAWN_A_HISTORY_JOBS, (uint64_t)history_jobs);
    if (history_age)
        spawn_put_u64(&w, SPAWN_A_HISTORY_AGE, (uint64_t)history_age);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, path);
    if (httpds_uid)
        spawn_put_u64(&w, SPAWN_A_UID, httpds_uid);
    if (any_account)
        spawn_put_u64(&w, SPAWN_A_ANY_ACCOUNT, 1);
    if (on_stop_kills)
        spawn_put_u64(&w, SPAWN_A_ON_STOP, 1);
    send_fds(&w, fds, count);
    (void)close(fds[0]);
}

static inline void start_broker(void)
{
    char *argv[] = {(char *)(uintptr_t) "mod_spawn broker", dir, NULL};
    char log[80];
    int ends[2];

    (void)snprintf(log, sizeof(log), "%s/log", dir);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    broker = fork();
    if (broker == 0) {
        (void)dup2(ends[1], 3);
        (void)fcntl(3, F_SETFD, 0);
        if (log_is_kept)
            (void)dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
        if (in_broker)
            in_broker();
        (void)execv(broker_program, argv);
        _exit(9);
    }
    (void)close(ends[1]);
    link_fd = ends[0];
    say_configure();
}

static inline void expect_ready(void)
{
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    if (spawn_attr_u64(&message.attr[SPAWN_A_CODE]) != SPAWN_E_OK)
        fail_msg("%s", spawn_str_or(&message, SPAWN_A_TEXT, ""));
}

/* A broker that launches. */
static inline void reach_go(void)
{
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
}

/* How many lines of a log in the store have this text. */
static inline unsigned logged_in(const char *log, const char *text)
{
    char line[4096];
    unsigned count = 0;
    FILE *in;

    (void)snprintf(line, sizeof(line), "%s/%s", dir, log);
    in = fopen(line, "re");
    while (in && fgets(line, sizeof(line), in))
        count += strstr(line, text) != NULL;
    if (in)
        (void)fclose(in);
    return count;
}

/* The same of the kept log. */
static inline unsigned logged(const char *text)
{
    return logged_in("log", text);
}

static inline void wait_until_logged(const char *text, unsigned count)
{
    int64_t end = spawn_mono_ms() + DEADLINE_MS;

    while (logged(text) < count && spawn_mono_ms() < end)
        (void)usleep(1000);
    assert_int_equal(logged(text), count);
}

/* At most so many lines a minute have this number since then, and when the
 * broker has ended the log says how many were left out. */
static inline void expect_few(const char *number, unsigned most, int64_t since)
{
    unsigned minutes = 1 + (unsigned)((spawn_mono_ms() - since) / 60000);
    char text[64];

    (void)snprintf(text, sizeof(text), "%s: ", number);
    assert_in_range(logged(text), most, most * minutes);
    (void)snprintf(text, sizeof(text), " more lines like %s were left out",
                   number);
    assert_in_range(logged(text), 1, minutes);
}

/* The broker lets no process of its own account look. */
#define ONLY_ROOT_LOOKS                                                        \
    LEAVE_OUT_IF(geteuid() != 0, "only root sees what a broker has open")

/* How many descriptors the broker has open of files with this in their name. */
static inline unsigned has_open(const char *name)
{
    char link[64], target[256];
    unsigned count = 0;
    ssize_t n;
    int fd;

    for (fd = 0; fd < 300; fd++) {
        (void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)broker, fd);
        n = readlink(link, target, sizeof(target) - 1);
        target[n < 0 ? 0 : n] = '\0';
        count += n >= 0 && strstr(target, name) != NULL;
    }
    return count;
}

/* kB; the broker's highest */
static inline unsigned long memory_of_broker(void)
{
    char path[40], line[200];
    unsigned long kilobytes = 0;
    FILE *in;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)broker);
    in = fopen(path, "re");
    assert_non_null(in);
    while (fgets(line, sizeof(line), in))
        (void)sscanf(line, "VmHWM: %lu", &kilobytes);
    (void)fclose(in);
    return kilobytes;
}

/* By the end of its link, as when the spawner has gone. */
static inline void end_broker(void)
{
    int status;

    if (link_fd >= 0)
        (void)close(link_fd);
    link_fd = -1;
    if (broker > 0) {
        assert_int_equal(waitpid(broker, &status, 0), broker);
        assert_int_equal(status, 0);
    }
    broker = 0;
}

/* Messages that are sent until it goes on are found in one turn. */
static inline void broker_sleeps(void)
{
    int status;

    assert_true(broker > 0);
    assert_int_equal(kill(broker, SIGSTOP), 0);
    assert_int_equal(waitpid(broker, &status, WUNTRACED), broker);
    assert_true(WIFSTOPPED(status));
}

static inline void broker_goes_on(void)
{
    assert_true(broker > 0);
    assert_int_equal(kill(broker, SIGCONT), 0);
}

static inline int set_up(void **state)
{
    char spool[80];

    (void)state;
    rules = NULL;
    workers_min = workers_max = 0;
    worker_idle = 60000;
    worker_jobs = worker_memory = template_jobs = template_memory = 0;
    history_jobs = -1;
    history_age = 0;
    httpds_uid = 0;
    any_account = on_stop_kills = job_names = log_is_kept = false;
    more_queues = NULL;
    more_rules = NULL;
    in_broker = NULL;
    queue_jobs = queue_waits = 10;
    queue_timeout = 0;
    queue_delays = -1;
    tell_pid_count = 0;
    place_of_tests(dir);
    if (!mkdtemp(dir))
        return -1;
    goes_at_exit(dir);
    (void)snprintf(spool, sizeof(spool), "%s/spool", dir);
    return mkdir(spool, 0700) || spawn_id_make(&life) ? -1 : 0;
}

static inline int tear_down(void **state)
{
    char command[256];

    (void)state;
    spawn_packet_close(&packet);
    memset(&packet, 0, sizeof(packet));
    if (broker > 0) {
        (void)kill(broker, SIGKILL); /* our child, not yet reaped */
        (void)waitpid(broker, NULL, 0);
    }
    if (link_fd >= 0)
        (void)close(link_fd);
    broker = 0;
    link_fd = -1;
    spawn_close_fds(post_fds, 2);
    spawn_close_fds(&inbox_fd, 1);
    spawn_close_fds(&site_log, 1);
    /* a helper of the broker ends a moment after it, and may have made
     * another file there */
    (void)snprintf(command, sizeof(command),
                   "for i in $(seq 500); do rm -rf %s 2>/dev/null && exit; "
                   "done; exit 1",
                   dir);
    return system(command);
}

/* A store of today's layout. */
static inline void make_store(void)
{
    start_broker();
    expect_ready();
    end_broker();
    boot_is_this_one();
}

/* A start can only be stored: no note (store/launches.h) can be written. */
static inline void no_notes(void)
{
    char path[96];

    (void)snprintf(path, sizeof(path), "%s/launches", dir);
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* ---- templates and jobs ---- */

static inline void say_exited(const spawn_id *id, int step, int number)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)number);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)number);
    }
    send_fds(&w, NULL, 0);
}

static inline void say_started(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, id);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
}

static inline void say_started_and_exited(const spawn_id *id, int status)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)spawn_boot_ms());
    spawn_put_u64(&w, SPAWN_A_STARTED_AT, 1234);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)status);
    send_fds(&w, NULL, 0);
}

/* The broker orders a template's start; it becomes ready, or not. */
static inline void template_starts(spawn_id *ret, bool ready)
{
    spawn_writer w;

    expect(SPAWN_M_LAUNCH);
    assert_true(spawn_has(&message, SPAWN_A_IS_TEMPLATE));
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEMPLATE, ""), "app");
    spawn_attr_id(&message.attr[SPAWN_A_ID], ret);
    say_started(ret);
    begin(&w, SPAWN_M_TEMPLATE_SAID, ret);
    spawn_put_u64(&w, SPAWN_A_CODE, ready ? SPAWN_E_OK : SPAWN_E_START_FAILED);
    spawn_put_str(&w, SPAWN_A_TEXT, ready ? "" : "no such luck");
    send_fds(&w, NULL, 0);
}

/* Where a descriptor of this role is in the packet of an order. */
static inline unsigned place_of(uint64_t role)
{
    const spawn_attr *keep = &message.attr[SPAWN_A_KEEP];
    uint32_t i;

    assert_true(spawn_has(&message, SPAWN_A_KEEP));
    for (i = 0; i + 1 < spawn_u64v_count(keep); i += 2) {
        if (spawn_u64v_at(keep, i + 1) == role)
            return (unsigned)spawn_u64v_at(keep, i);
    }
    fail_msg("the order has no descriptor of role %u", (unsigned)role);
    return 0;
}

static inline void expect_order(const spawn_id *job, const spawn_id *template)
{
    spawn_id to;

    expect_id(SPAWN_M_LAUNCH, job);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_FUNCTION, ""), "My::f");
    spawn_attr_id(&message.attr[SPAWN_A_TEMPLATE_ID], &to);
    assert_true(spawn_id_equal(&to, template));
}

/* From Linux 6.15 on, strangers are told how a process ended. */
static inline bool ends_are_told(void)
{
    int status, pidfd = spawn_os_pidfd(getpid());
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    (void)close(pidfd);
    pidfd = spawn_os_pidfd(pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    status = spawn_os_pidfd_status(pidfd, &status);
    (void)close(pidfd);
    return status == 0;
}

static inline void find_broker(void)
{
    const char *build = getenv("SPAWN_BUILD");

    (void)snprintf(broker_program, sizeof(broker_program),
                   "%s/mod_spawn/broker", build ? build : "build");
    cmocka_set_message_output(CM_OUTPUT_TAP);
}

#endif
