/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lives of brokers: each has nothing but the link and what comes with
 * CONFIGURE. Between them stay, as in the real thing, the store, the spool, the
 * inbox, the listening socket and the post socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "broker/base/meters.h"
#include "broker/process/link.h"
#include "broker/store/unrecorded.h"
#include "broker/run/durable.h"
#include "t/simulation/answers.h"
#include "t/simulation/bound.h"
#include "t/simulation/controls.h"
#include "t/simulation/crons.h"
#include "t/simulation/durable.h"
#include "t/simulation/files.h"
#include "t/simulation/logged.h"
#include "t/simulation/metered.h"
#include "t/simulation/ordered.h"
#include "t/simulation/recorded.h"
#include "t/simulation/body.h"
#include "t/simulation/workers.h"
#include "t/simulation/room.h"

#ifdef SIMULATION_SANITIZED
#include <sanitizer/common_interface_defs.h>
#endif

#define INBOX_SLOTS 128 /* as in broker/caller/inbox.c, */
#define INBOX_SLOT  69632
#define NUMBERS_AT  ((size_t)256 * INBOX_SLOT)
#define CALLS_AT    (NUMBERS_AT + SPAWN_METERS_ROOM) /* not recorded */

char world_dir[64];
bool alive, broker_ready, going, calm;
bool store_calm, store_was_full;
unsigned turns, lives;

static bool over;           /* it has ended, which nobody has seen yet */
static int64_t finished_ms; /* its last turn that came to its end; 0: none */
static int link_fd = -1;
static int listener = -1, inbox = -1, post[2] = {-1, -1};
static int notify = -1;     /* the broker's; here, so that its end is quick */
static int broker_log = -1; /* in memory: it takes each line at once */
static uint8_t *slots;      /* of the inbox */
static spawn_id life;

int life_post(void)
{
    return post[0];
}

int life_post_end(void)
{
    return post[1];
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

/* stderr is the broker's. */
static void bad(const char *what)
{
    (void)printf("%s: %s\n", what, strerror(errno));
    exit(2);
}

static void listen_anew(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    path_of("socket", a.sun_path, sizeof(a.sun_path));
    listener = body_world_fd(
        socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (listener < 0 || bind(listener, (struct sockaddr *)&a, sizeof(a)) < 0
        || listen(listener, 64) < 0)
        bad("the callers' socket");
}

static void new_spawner(void)
{
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++)
        life.bytes[i] = (uint8_t)random_bits();
}

/* The parts that all runs have. */
void life_open(void)
{
    size_t size = CALLS_AT + spawn_unrecorded_size();

    notify = body_world_fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    inbox = body_world_fd(spawn_os_memfd("inbox"));
    broker_log = body_world_fd(spawn_os_memfd("log"));
    if (notify < 0 || broker_log < 0 || inbox < 0
        || ftruncate(inbox, (off_t)size) < 0)
        bad("inbox and log");
    slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, inbox, 0);
    if (slots == MAP_FAILED)
        bad("inbox");
#ifdef SIMULATION_SANITIZED
    __sanitizer_set_report_fd(
        (void *)(intptr_t)fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, WORLD_FDS));
#endif
    (void)dup3(broker_log, STDERR_FILENO, O_CLOEXEC);
}

void life_places_open(void)
{
    char path[128];
    int i;

    make_file("lock");
    make_file("control");
    path_of("spool", path, sizeof(path));
    (void)mkdir(path, 0700);
    listen_anew();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   post)
        < 0)
        bad("post socket");
    for (i = 0; i < 2; i++)
        post[i] = body_world_fd(post[i]);
    (void)spawn_os_pass_credentials(post[1]);
    notify_forget();
    new_spawner();
}

/* All that was ever written there: a message begins at the slot's begin, whose
 * header is the only part that its end makes zero, and what says whose it is
 * ends at the slot's end. */
static void empty_inbox(void)
{
    static const uint8_t zeros[512];
    unsigned i;

    for (i = 0; i < INBOX_SLOTS; i++) {
        uint8_t *slot = slots + (size_t)i * INBOX_SLOT;

        if (memcmp(slot, zeros, 64) != 0
            || memcmp(slot + INBOX_SLOT - sizeof(zeros), zeros, sizeof(zeros))
                   != 0)
            memset(slot, 0, INBOX_SLOT);
    }
    memset(slots + NUMBERS_AT, 0, spawn_meters_size());
    memset(slots + CALLS_AT, 0, spawn_unrecorded_size());
    metered_lost();
}

bool life_inbox_is_empty(void)
{
    static const uint8_t zeros[SPAWN_WIRE_HEADER];
    unsigned i;

    for (i = 0; i < INBOX_SLOTS; i++) {
        if (memcmp(slots + (size_t)i * INBOX_SLOT, zeros, sizeof(zeros)) != 0)
            return false;
    }
    return true;
}

void life_lose_memory(void)
{
    empty_inbox();
    new_spawner();
}

void life_places_close(void)
{
    static const char *const names[] = {"lock",    "control",     "socket",
                                        "reserve", "broker.lock", "launches",
                                        "in_use"};
    char path[128];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path_of(names[i], path, sizeof(path));
        (void)unlink(path);
    }
    disk_empty();
    empty_inbox();
    spawn_close_fds(&listener, 1);
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
    static const uint8_t secret[SPAWN_SECRET_SIZE] = {LIFE_SECRET};
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
    spawn_put_id(&w, SPAWN_A_INSTANCE, &life);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, 3);
    for (i = 0; i < QUEUES; i++) {
        mark = spawn_open_nest(&w, SPAWN_A_QUEUE_RULES);
        spawn_put_str(&w, SPAWN_A_QUEUE, queue_names[i]);
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, queue_limits[i].max_jobs);
        spawn_put_u64(&w, SPAWN_A_MAX_QUEUED, queue_limits[i].max_queued);
        if (i == WORKER_QUEUE)
            workers_put_rules(&w);
        spawn_close(&w, mark);
    }
    workers_put_template(&w);
    crons_put_rules(&w);
    spawn_put_str(&w, SPAWN_A_STORE_PATH, world_dir);
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, path);
    spawn_put_u64(&w, SPAWN_A_UID, geteuid());
    spawn_put_u64(&w, SPAWN_A_HISTORY_JOBS, 10000);
    life_send(&w, fds, 3);
}

/* ---- a life ---- */

static void bury(void)
{
    body_bury();
    over = true;
}

void life_begin(uint64_t points)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   ends)
        < 0)
        bad("socketpair");
    link_fd = body_world_fd(ends[0]);
    (void)dup3(ends[1], SPAWN_LINK_FD, O_CLOEXEC);
    (void)close(ends[1]);
    (void)dup3(notify, SPAWN_LINK_FD + 1, O_CLOEXEC);
    finished_ms = 0;
    board->points = 0;
    board->die_at = points;
    say("a broker begins%s", points ? ", and will be killed" : "");
    over = false;
    lives++;
    if (!body_does(life_starts))
        bury();
    alive = true;
    broker_ready = broker_refused = false;
    broker_knows = 0;
    began_blind = board->store != STORE_GOOD || board->fail_in > 0;
    life_configure();
    spawner_table();
    workers_table();
    life_say(SPAWN_M_TABLE_END);
    if (going)
        life_say(SPAWN_M_GO);
}

/* Without date and process. */
static void read_log(void)
{
    static char text[65536];
    char *line, *rest = text;
    ssize_t n = pread(broker_log, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    while ((line = strsep(&rest, "\n")) != NULL && *line) {
        const char *said = strstr(line, "MS0");

        logged_line(said ? said : line);
        say("  log: %s", said ? said : line);
    }
    if (n == 0)
        return;
    if (ftruncate(broker_log, 0) < 0)
        bad("ftruncate");
    (void)lseek(broker_log, 0, SEEK_SET);
}

/* Its words before its end, too: the kernel keeps them. */
static void take_in(void)
{
    static uint8_t buffer[WHOLE];
    spawn_message m;
    spawn_failure why;
    spawn_packet p;

    read_log();
    while (!broken
           && spawn_packet_receive(link_fd, buffer, sizeof(buffer), &p) == 1) {
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_BROKER_TO_SPAWNER,
                                p.fds_count, &m, &why)
            == 0)
            spawner_obey(&m, &p);
        else
            promise_broken("the broker sent what is not understood: %s",
                           why.text);
        spawn_packet_close(&p);
    }
    workers_hear();
    callers_hear();
}

static void has_gone(bool killed)
{
    alive = broker_ready = calm = false;
    workers_lose_broker(killed);
    take_in();
    recorded_lose_broker(finished_ms);
    spawn_close_fds(&link_fd, 1);
    scribe_loses_broker();
}

static void ends(void)
{
    has_gone(body_end() == DIED_AT_POINT);
    if (body_end() == DIED_AT_POINT)
        metered_in_a_turn();
    if (body_end() == DIED_AT_POINT)
        say("the broker is killed (point %llu)",
            (unsigned long long)board->points);
    else if (body_end() == 0)
        say("the broker has left");
    else if (!broken)
        promise_broken("the broker ended by itself: exit code %d", body_end());
}

void life_kill(void)
{
    if (!alive)
        return;
    if (!over)
        bury();
    say("the broker is killed between two turns");
    has_gone(true);
}

void life_turn(void)
{
    turns++;
    scribe_goes_on();
    ledger_unread = alive && spawn_durable_unread();
    if (ledger_unread)
        ledger_unread_in = turns;
    board->order = random_bits();
    if (!over && !body_does(life_does_turn))
        bury();
    if (over ? with_durable : spawn_durable_unread())
        ledger_unread_in = turns; /* it has begun to read it, perhaps */
    if (over) {
        ends();
        room_turn(); /* requests that it took count, too */
        crons_lose_broker();
        return;
    }
    take_in();
    finished_ms = board->mono_ms;
    room_turn();
    spawner_check();
    workers_check();
    callers_check();
    bound_check();
    controls_turn();
    ordered_check();
    crons_turn();
}

/* The broker has one more turn, in which the link is at its end, or dies with
 * it. */
void life_lose_spawner(void)
{
    bool turn = alive && chance(50), ready = alive && broker_ready;

    say("the spawner is killed");
    if (!turn)
        life_kill();
    /* A broker that finds a job stored as starting, whose order was never sent,
     * cannot store that it waits again. */
    spawner_dies(turn || !ready || board->store != STORE_GOOD);
    workers_lose_spawner();
    calm = false;
    calls_unsure |= !turn;
    new_spawner();
    if (!turn)
        return;
    spawn_close_fds(&link_fd, 1);
    while (alive && !broken)
        life_turn();
    calls_unsure |= body_end() == DIED_AT_POINT || !store_calm;
}
