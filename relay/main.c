/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_spawn's relay: between the broker and RabbitMQ. A program of its own,
 * which the spawner executes with the link as descriptor 3, the error log as 2,
 * and the right user already. docs/cluster.md says what it is for.
 *
 * The end of the link, or other rules than it began with, end the relay; the
 * spawner starts another. It forks nothing and writes no file.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_sweep.h"
#include "relay/relay.h"

#define LOOK_MS       250 /* heartbeats, time-outs, pauses */
#define CONNECT_AGAIN 1000
#define HANGS_S       60

static struct {
    char url[SPAWN_RELAY_URL_MAX + 1];
    char host[SPAWN_HOST_MAX + 1];
    uint8_t *names; /* of QUEUE_NAMES, as they came */
    size_t names_length;
    bool known;
} rules;

static int64_t connect_at;
static char told[512]; /* why it is not connected, as the log has it */

static void leave(void) __attribute__((noreturn));

static void leave(void)
{
    engine_close();
    _exit(0);
}

/* ---- to the broker ---- */

static void send_or_leave(spawn_writer *w)
{
    if (!link_send(w))
        leave();
}

static void tell_state(bool open, const char *text)
{
    uint8_t room[1024];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_RELAY_STATE, 0);
    spawn_put_u64(&w, SPAWN_A_RUNNING, open);
    spawn_put_str(&w, SPAWN_A_TEXT, text);
    send_or_leave(&w);
}

static void tell_carried(const spawn_id *id, uint64_t state)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_CARRIED, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_STATE, state);
    send_or_leave(&w);
}

static void came(unsigned channel, uint64_t tag, const void *data,
                 size_t length)
{
    const char *queue;
    uint64_t delivery = places_came(channel, tag, &queue);
    spawn_writer w;

    spawn_writer_init(&w, spawn_message_max(SPAWN_M_CAME));
    spawn_writer_begin(&w, SPAWN_M_CAME, 0);
    spawn_put_u64(&w, SPAWN_A_SEQ, delivery);
    if (queue)
        spawn_put_str(&w, SPAWN_A_QUEUE, queue);
    spawn_put_bytes(&w, SPAWN_A_LOAD_BYTES, data, length);
    send_or_leave(&w);
    spawn_writer_free(&w);
}

/* ---- from the broker ---- */

static bool same_rules(const spawn_message *m)
{
    const spawn_attr *names = &m->attr[SPAWN_A_QUEUE_NAMES];

    return strcmp(rules.url, spawn_attr_str(&m->attr[SPAWN_A_RELAY_URL])) == 0
           && strcmp(rules.host, spawn_attr_str(&m->attr[SPAWN_A_HOST])) == 0
           && rules.names_length == names->length
           && (names->length == 0
               || memcmp(rules.names, names->data, names->length) == 0);
}

static void take_rules(const spawn_message *m)
{
    const spawn_attr *names = &m->attr[SPAWN_A_QUEUE_NAMES];

    if (rules.known && !same_rules(m))
        leave();
    if (rules.known)
        return;
    rules.known = true;
    (void)strcpy(rules.url, spawn_attr_str(&m->attr[SPAWN_A_RELAY_URL]));
    (void)strcpy(rules.host, spawn_attr_str(&m->attr[SPAWN_A_HOST]));
    rules.names = malloc(names->length + 1);
    if (!rules.names)
        abort();
    if (names->length)
        memcpy(rules.names, names->data, names->length);
    rules.names_length = names->length;
    if (spawn_has(m, SPAWN_A_QUEUE_NAMES))
        places_queues(names);
}

static void carry(const spawn_message *m)
{
    const spawn_attr *load = &m->attr[SPAWN_A_LOAD_BYTES];
    spawn_id id;

    if (!engine_is_open())
        return; /* the broker has been told, and sends it again */
    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    flying_add(&id, spawn_attr_u64(&m->attr[SPAWN_A_STATE]),
               spawn_attr_str(&m->attr[SPAWN_A_TO]), load->data, load->length);
}

static void message(const spawn_message *m)
{
    switch (m->header.type) {
    case SPAWN_M_RELAY_RULES:
        take_rules(m);
        break;
    case SPAWN_M_CARRY:
        carry(m);
        break;
    case SPAWN_M_ROOM:
        places_room(spawn_attr_str(&m->attr[SPAWN_A_QUEUE]),
                    spawn_attr_u64(&m->attr[SPAWN_A_MAX_JOBS]));
        break;
    case SPAWN_M_KEPT:
        places_kept(spawn_attr_u64(&m->attr[SPAWN_A_SEQ]),
                    spawn_has(m, SPAWN_A_CODE));
        break;
    default:
        break;
    }
}

/* ---- the connection ---- */

/* Once for each reason: it may last for hours. */
static void log_why(const char *where, const char *why)
{
    char text[sizeof(told)];

    (void)snprintf(text, sizeof(text), "%.200s: %.250s", where, why);
    if (strcmp(text, told) == 0)
        return;
    (void)strcpy(told, text);
    spawn_log(SPAWN_LOG_WARN,
              MSNO(0711) "shared queues: the engine cannot be reached, and is "
                         "tried each second: %s",
              text);
}

static void lost(const char *why)
{
    engine_close();
    flying_drop();
    places_drop();
    connect_at = spawn_mono_ms() + CONNECT_AGAIN;
    tell_state(false, why);
}

static void connect_now(int64_t now)
{
    char where[300], why[300] = "";

    if (engine_connect(rules.url, places_channels(), where, sizeof(where), why,
                       sizeof(why))
        < 0) {
        log_why(where, why);
        connect_at = now + CONNECT_AGAIN;
        return;
    }
    told[0] = '\0';
    places_begin(rules.host);
    tell_state(true, where);
}

static void read_engine(void)
{
    char why[300] = "it closed the connection";

    if (engine_read(why, sizeof(why)) < 0)
        lost(why);
}

/* ---- the loop ---- */

static void ignore_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGHUP,  SIGINT,  SIGTERM,
                                  SIGUSR1, SIGUSR2, SIGWINCH};
    struct sigaction ignore;
    size_t i;

    memset(&ignore, 0, sizeof(ignore));
    ignore.sa_handler = SIG_IGN;
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)sigaction(ignored[i], &ignore, NULL);
}

static bool link_is_there(void)
{
    socklen_t length = sizeof(int);
    int type = 0;

    return getsockopt(RELAY_LINK_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0
           && type == SOCK_SEQPACKET;
}

static void turn(void)
{
    struct pollfd fds[2] = {{RELAY_LINK_FD, POLLIN, 0},
                            {engine_fd(), POLLIN, 0}};
    int64_t now;

    (void)poll(fds, 2, LOOK_MS);
    (void)alarm(HANGS_S); /* what waits in librabbitmq for longer is ended */
    if (engine_is_open())
        read_engine();
    if (!link_read(message))
        leave();
    now = spawn_mono_ms();
    if (engine_is_open() && !flying_look(now))
        lost("a confirm did not come in time");
    if (rules.known && !engine_is_open() && now >= connect_at)
        connect_now(now);
    places_settle(now);
}

int main(void)
{
    static const engine_events from_engine = {came, flying_confirmed};

    if (!link_is_there()) {
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0712) "the relay is started by mod_spawn's spawner, not "
                             "by hand");
        return 1;
    }
    ignore_signals();
    (void)spawn_os_undumpable();
    (void)spawn_os_cloexec_from(RELAY_LINK_FD);
    engine_begin(&from_engine);
    flying_begin(tell_carried);
    for (;;)
        turn();
}
