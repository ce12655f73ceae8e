/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lives of brokers: each is a child of the world, which has nothing but the
 * link and what comes with CONFIGURE. Between them stay, as in the real thing,
 * the store, the spool, the inbox, the listening socket and the post socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "broker/base/notify.h"
#include "t/simulation/world.h"

#define TURN_WITHIN 20000 /* ms of real time */

char world_dir[64];
bool alive, broker_ready, going, calm;
unsigned turns;

static pid_t life;
static int link_fd = -1, control = -1;
static int listener = -1, inbox = -1, post[2] = {-1, -1};
static int notify = -1;     /* the broker's; here, so that its end is quick */
static int broker_log = -1; /* in memory: it takes each line at once */
static spawn_id instance;

int life_post(void)
{
    return post[0];
}

/* ---- what outlives brokers ---- */

static void path_of(const char *name, char *ret, size_t room)
{
    (void)snprintf(ret, room, "%s/%s", world_dir, name);
}

static void make_file(const char *name)
{
    char path[128];

    path_of(name, path, sizeof(path));
    (void)close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void listen_anew(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    path_of("socket", a.sun_path, sizeof(a.sun_path));
    listener =
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0
        || listen(listener, 64) < 0) {
        perror("the callers' socket");
        exit(2);
    }
}

static void new_spawner(void)
{
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        instance.bytes[i] = (uint8_t)random_bits();
}

void life_places_open(void)
{
    char path[128];

    make_file("lock");
    make_file("control");
    path_of("spool", path, sizeof(path));
    (void)mkdir(path, 0700);
    listen_anew();
    if (notify < 0)
        notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    inbox = spawn_os_memfd("inbox");
    broker_log = spawn_os_memfd("log");
    if (inbox < 0 || broker_log < 0
        || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                      post)
               < 0) {
        perror("inbox and post socket");
        exit(2);
    }
    (void)spawn_os_pass_credentials(post[1]);
    new_spawner();
}

void life_places_close(void)
{
    static const char *const names[] = {
        "lock",        "control", "socket",      "jobs.db",
        "jobs.db-wal", "reserve", "jobs.db-shm", "jobs.db-journal"};
    char path[128];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path, sizeof(path));
        (void)unlink(path);
    }
    spawn_close_fds(&listener, 1);
    spawn_close_fds(&inbox, 1);
    spawn_close_fds(&broker_log, 1);
    spawn_close_fds(post, 2);
}

/* ---- to the broker ---- */

void life_send(spawn_writer *w, const int *fds, unsigned count)
{
    int rv = spawn_writer_finish(w, count);

    if (rv == 0)
        rv = spawn_packet_send(link_fd, w->data, w->length, fds, count);
    spawn_writer_free(w);
    if (rv < 0 && rv != -EPIPE && rv != -ECONNRESET)
        promise_broken("the world cannot send: %s", strerror(-rv));
}

void life_say(unsigned type)
{
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, (uint16_t)type, 0);
    life_send(&w, NULL, 0);
}

void life_configure(void)
{
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {7};
    const uint64_t roles[] = {SPAWN_FD_LISTEN, SPAWN_FD_POST_RX,
                              SPAWN_FD_INBOX};
    const int fds[] = {listener, post[1], inbox};
    char path[128];
    spawn_writer w;
    size_t mark;
    int i;

    path_of("socket", path, sizeof(path));
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_CONFIGURE, 0);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    spawn_put_bytes(&w, SPAWN_A_SECRET, secret, sizeof(secret));
    spawn_put_id(&w, SPAWN_A_INSTANCE, &instance);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, 3);
    for (i = 0; i < QUEUES; i++) {
        mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
        spawn_put_str(&w, SPAWN_A_QUEUE, queue_names[i]);
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, queue_limits[i].max_jobs);
        spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, queue_limits[i].max_queued);
        spawn_close(&w, mark);
    }
    spawn_put_str(&w, SPAWN_A_STORE_PATH, world_dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, path);
    spawn_put_u64(&w, SPAWN_A_UID, geteuid());
    spawn_put_u64(&w, SPAWN_A_HISTORY_JOBS, 10000);
    life_send(&w, fds, 3);
}

/* ---- a life ---- */

static void be_born(int its_link, int its_control)
{
    life_begins();
    (void)dup2(broker_log, STDERR_FILENO);
    spawn_notify_take(notify);
    life_run(its_link, its_control);
}

void life_begin(uint64_t points)
{
    int ends[2], controls[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
            < 0
        || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, controls) < 0) {
        perror("socketpair");
        exit(2);
    }
    board->points = 0;
    board->die_at = points;
    say("a broker begins%s", points ? ", and will be killed" : "");
    life = fork();
    if (life < 0) {
        perror("fork");
        exit(2);
    }
    if (life == 0)
        be_born(ends[1], controls[1]);
    (void)close(ends[1]);
    (void)close(controls[1]);
    link_fd = ends[0];
    control = controls[0];
    alive = true;
    broker_ready = broker_refused = false;
    began_blind = board->store != STORE_GOOD || board->fail_in > 0;
    life_configure();
    spawner_table();
    life_say(SPAWN_M_TABLE_END);
    if (going)
        life_say(SPAWN_M_GO);
}

/* Without date and process. */
static void show_log(void)
{
    char lines[8192], *line, *rest = lines;
    ssize_t n = tracing ? pread(broker_log, lines, sizeof(lines) - 1, 0) : 0;

    lines[n > 0 ? n : 0] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL && *line) {
        const char *text = strstr(line, "MS0");

        say("  log: %s", text ? text : line);
    }
    if (ftruncate(broker_log, 0) < 0)
        perror("ftruncate");
    (void)lseek(broker_log, 0, SEEK_SET);
}

/* What it said before its end, too: the kernel keeps it. */
static void take_in(void)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;

    show_log();
    while (!broken
           && spawn_packet_receive(link_fd, buffer, sizeof(buffer), &p) == 1) {
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER_TO_SPAWNER,
                                p.fds_count, &m, &why)
            == 0)
            spawner_obey(&m);
        else
            promise_broken("the broker sent what is not understood: %s",
                           why.text);
        spawn_packet_close(&p);
    }
    callers_hear();
}

static void ends(void)
{
    int status = 0;

    (void)waitpid(life, &status, 0);
    alive = broker_ready = calm = false;
    take_in();
    spawn_close_fds(&link_fd, 1);
    spawn_close_fds(&control, 1);
    if (WIFEXITED(status) && WEXITSTATUS(status) == DIED_AT_POINT)
        say("the broker is killed (point %llu)",
            (unsigned long long)board->points);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        say("the broker has left");
    else if (!broken)
        promise_broken("the broker ended by itself: wait status 0x%04x",
                       (unsigned)status);
}

void life_kill(void)
{
    if (!alive)
        return;
    (void)kill(life, SIGKILL);
    (void)waitpid(life, NULL, 0);
    say("the broker is killed between two turns");
    alive = broker_ready = calm = false;
    take_in();
    spawn_close_fds(&link_fd, 1);
    spawn_close_fds(&control, 1);
}

/* It stands still: true. Else it has ended, which is taken in. */
static bool stands(int flags)
{
    struct pollfd p = {control, POLLIN, 0};
    char byte;

    if (poll(&p, 1, TURN_WITHIN) != 1) {
        promise_broken("the broker did not come to the end of its turn");
        life_kill();
        return false;
    }
    if (recv(control, &byte, 1, flags) == 1)
        return true;
    ends();
    return false;
}

void life_turn(void)
{
    turns++;
    board->order = random_bits();
    if (!stands(0))
        return;
    if (write(control, "t", 1) != 1 || !stands(MSG_PEEK))
        return;
    take_in();
    spawner_check();
    callers_check();
}

/* The broker has one more turn, in which the link is at its end, or dies with
 * it. */
void life_lose_spawner(void)
{
    bool turn = alive && chance(50), ready = alive && broker_ready;

    say("the spawner is killed");
    if (!turn)
        life_kill();
    spawner_dies(turn || !ready);
    calm = false;
    new_spawner();
    if (!turn)
        return;
    spawn_close_fds(&link_fd, 1);
    while (alive && !broken)
        life_turn();
}
