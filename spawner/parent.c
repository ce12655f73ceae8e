/* SPDX-License-Identifier: Apache-2.0 */
/*
 * httpd parents: the one that we belong to, and the next one, which adopts us.
 * Runs in the spawner only.
 *
 * A parent is gone when its link ends or its pidfd says so (a copy of the link
 * that something else inherited cannot hide that), or when 30 s have passed
 * since it cleared its configuration and it has not loaded the module again (a
 * configuration may take longer, with the startup files in it). Then the pair
 * lingers until its jobs are done, and can be adopted.
 *
 * Words that are obeyed here are worth root, and a descriptor proves nothing:
 * whatever httpd forks without exec may hold a copy of the link, and a set-uid
 * program may be made to write to it. So a packet must come from the process
 * that made the link.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "spawner/spawner.h"
#include "spawner/template_note.h"

#define CLEARED_MS  30000
#define ADOPTION_MS 5000
#define MUTE_MS     500 /* after accept had no descriptor */

static uint8_t input[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
/* ---- the sender ---- */

static void dropped(const spawn_packet *p, pid_t owner)
{
    long uid = p->has_sender ? (long)p->sender.uid : -1;

    spawn_log_few(spawn_log_uid(uid), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
                  MSNO(0320) "a message on httpd's link was dropped: it came "
                             "from process %d of uid %ld, not from httpd "
                             "(pid %d)",
                  p->has_sender ? (int)p->sender.pid : 0, uid, (int)owner);
}

/* Is it from the very process that made the link or connected it, with the
 * account that this process had then, or that it started us with (its real one,
 * when httpd is a set-uid program)? The kernel has noted both. */
static bool from_parent(int sock, const spawn_packet *p)
{
    pid_t owner = 0;
    uid_t uid;

    if (spawn_os_peer(sock, &owner, &uid, NULL) == 0 && owner > 0
        && p->has_sender && p->sender.pid == owner
        && (p->sender.uid == uid || p->sender.uid == getuid()))
        return true;
    dropped(p, owner);
    return false;
}

/* As spawn_packet_receive, for a parent's packets. -EAGAIN: none is there, or
 * it is not the parent's. */
static int receive_from_parent(int sock, spawn_packet *ret)
{
    int rv = spawn_packet_receive(sock, input, sizeof(input), ret);

    if ((rv != 1 && rv != -EBADMSG && rv != -EMSGSIZE && rv != -EMFILE)
        || from_parent(sock, ret))
        return rv;
    if (rv == 1)
        spawn_packet_close(ret);
    return -EAGAIN;
}

/* ---- the end of a parent ---- */

static void start_lingering(void)
{
    spawner.lingering = true;
    spawner.cleared_at = 0;
    external_tell();
    /* the pair was never configured, or can have no broker */
    if (spawner.link < 0 && !spawner.broker_start_at)
        spawner_end(0, "");
    /* httpd did not start: no job was ever taken, nothing is left to do */
    if (spawner.broker_refused && !spawner.gone_on && table_jobs() == 0)
        spawner_end(0, "");
    tell_linger();
}

void parent_gone(const char *how)
{
    control_leave();
    if (spawner.lingering)
        return;
    spawn_log(SPAWN_LOG_INFO,
              MSNO(0310) "httpd has gone (%s): lingering until %u jobs are "
                         "done",
              how, table_jobs());
    start_lingering();
}

static void configure(const spawn_message *m, spawn_packet *p)
{
    int rv = config_take(m, p->data + SPAWN_WIRE_HEADER,
                         p->length - SPAWN_WIRE_HEADER, p->fds, p->fds_count);

    spawner.wants_ready = true;
    if (rv == 0)
        template_words_drop(NULL); /* httpd tells them with its templates */
    if (rv < 0) {
        char text[128];

        (void)snprintf(text, sizeof(text),
                       "the spawner cannot take the configuration: %s",
                       strerror(-rv));
        control_tell_ready(false, text);
        return;
    }
    spawner.cleared_at = 0;
    spawner.lingering = false;
    external_tell();
    if (spawner.fds[SPAWN_FD_SPAWNER_BIN] >= 0
        && (strcmp(spawn_str_or(m, SPAWN_A_RELEASE, ""), SPAWN_RELEASE) != 0
            || programs_replaced())) {
        if (spawner.link >= 0) {
            spawner.upgrading = true; /* goes on when the broker has ended */
            tell_quit();
            return;
        }
        (void)upgrade_exec(); /* returns only when that failed */
    }
    broker_configure();
}

/* httpd's parent kills a spawner that does not answer. */
static void answer_alive(void)
{
    uint8_t buffer[SPAWN_WIRE_HEADER];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_ALIVE, 0);
    control_send(spawner.control, &w, NULL, 0);
}

static void obey(const spawn_message *m, spawn_packet *p)
{
    switch (m->header.type) {
    case SPAWN_M_CONFIGURE:
        configure(m, p);
        break;
    case SPAWN_M_GO:
        spawner.gone_on = true;
        tell_go();
        break;
    case SPAWN_M_PLACES:
        config_take_fds(m, p->fds, p->fds_count);
        tell_places();
        break;
    case SPAWN_M_TEMPLATE:
        template_foreign(m, p);
        break;
    case SPAWN_M_CLEARED:
        spawner.cleared_at = spawn_mono_ms();
        break;
    case SPAWN_M_ALIVE:
        answer_alive();
        break;
    case SPAWN_M_LOADED:
        spawner.cleared_at = 0;
        break;
    default:
        break;
    }
}

/* It keeps its old descriptors: httpd says that it goes on with those. */
static void no_room_for_it(void)
{
    static const char text[] =
        "the spawner has no room for the descriptors that came with it: raise "
        "the limit of open files that httpd is started with";

    spawn_log_few("its link", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                  MSNO(0321) "a message of httpd cannot be taken: %s", text);
    spawner.wants_ready = true;
    control_tell_ready(false, text);
}

void parent_input(void)
{
    static spawn_message message;
    spawn_failure why;
    spawn_packet packet;
    int rv;

    rv = receive_from_parent(spawner.control, &packet);
    if (rv == -EAGAIN)
        return;
    if (rv == -EMFILE) {
        no_room_for_it();
        return;
    }
    if (rv <= 0) {
        parent_gone(rv == 0 ? "its link has ended" : strerror(-rv));
        return;
    }
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_PARENT,
                            packet.fds_count, &message, &why)
        == 0) {
        obey(&message, &packet);
    }
    else {
        spawn_log_few("its link", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0311) "a message of httpd was not understood: %s",
                      why.text);
        spawner.wants_ready = true;
        control_tell_ready(false, why.text);
    }
    spawn_packet_close(&packet);
}

/* ---- adoption ---- */

static void refuse(int sock, const char *text)
{
    uint8_t buffer[1024];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_REFUSED, 0);
    spawn_put_u64(&w, SPAWN_A_CODE, SPAWN_E_NOT_PERMITTED);
    spawn_put_str(&w, SPAWN_A_TEXT, text);
    control_send(sock, &w, NULL, 0);
}

void parent_accept(void)
{
    int sock = accept4(spawner.fds[SPAWN_FD_CONTROL], NULL, NULL,
                       SOCK_CLOEXEC | SOCK_NONBLOCK);
    pid_t pid;
    uid_t uid;

    if (sock < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM
            || errno == ENOBUFS) {
            spawner.muted_until = spawn_mono_ms() + MUTE_MS;
            (void)rewatch(spawner.fds[SPAWN_FD_CONTROL], ON_LISTEN, 0);
        }
        return;
    }
    if (spawner.ending) { /* the httpd sees that, and looks again */
        (void)close(sock);
        return;
    }
    if (spawn_os_peer(sock, &pid, &uid, NULL) < 0 || uid != geteuid()) {
        refuse(sock, "only the account that started this pair may adopt it");
        (void)close(sock);
        return;
    }
    if (pid <= 0) {
        refuse(sock, "an httpd of another pid namespace cannot be told from "
                     "others there, and may not adopt this pair");
        (void)close(sock);
        return;
    }
    if (spawner.adopter >= 0) {
        refuse(sock, "another httpd is just adopting this pair");
        (void)close(sock);
        return;
    }
    /* a process may have connected before the socket was ours: since Linux 6.16
     * a connection has what the socket passed when it was made */
    (void)spawn_os_pass_credentials(sock);
    spawner.adopter = sock;
    spawner.adopter_since = spawn_mono_ms();
    (void)watch(sock, ON_ADOPT, EPOLLIN);
}

static void send_adopted(int sock)
{
    static const uint8_t given[] = {SPAWN_FD_LISTEN,
                                    SPAWN_FD_POST_RX,
                                    SPAWN_FD_POST_TX,
                                    SPAWN_FD_INBOX,
                                    SPAWN_FD_LOCK,
                                    SPAWN_FD_CONTROL,
                                    0 /* ends it */};
    uint64_t roles[sizeof(given)];
    int fds[sizeof(given)];
    unsigned count = 0, i;
    uint8_t buffer[1024];
    spawn_writer w;

    for (i = 0; given[i]; i++) {
        if (spawner.fds[given[i]] >= 0) {
            roles[count] = given[i];
            fds[count++] = spawner.fds[given[i]];
        }
    }
    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_ADOPTED, 0);
    spawn_put_id(&w, SPAWN_A_INSTANCE, &spawner.life);
    spawn_put_bytes(&w, SPAWN_A_SECRET, spawner.secret, SPAWN_SECRET_SIZE);
    spawn_put_u64v(&w, SPAWN_A_FD_ROLES, roles, count);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)getpid());
    spawn_put_str(&w, SPAWN_A_SOCKET_PATH, spawner.socket_path);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    control_send(sock, &w, fds, count);
}

/* The httpd that was answered, and whose configuration comes in a moment; 0:
 * there is none, or it had time enough. */
static pid_t who_adopts(void)
{
    struct pollfd link = {spawner.control, POLLRDHUP, 0};
    pid_t pid = 0;

    if (!spawner.lingering || link.fd < 0
        || spawn_mono_ms() - spawner.adopter_answered_at >= ADOPTION_MS
        || poll(&link, 1, 0) != 0
        || spawn_os_peer(link.fd, &pid, NULL, NULL) < 0)
        return 0;
    return pid;
}

static void adopt(int sock)
{
    pid_t other;
    char text[160];

    if (spawner.ending) {
        unwatch(&sock);
        return;
    }
    other = who_adopts();
    if (other > 0) {
        (void)snprintf(text, sizeof(text),
                       "the httpd with process id %d is just adopting this "
                       "pair",
                       (int)other);
        refuse(sock, text);
        unwatch(&sock);
        return;
    }
    if (!spawner.lingering) {
        (void)snprintf(text, sizeof(text),
                       "the store is in use by the httpd with process id %d",
                       (int)spawner.parent_pid);
        refuse(sock, text);
        unwatch(&sock);
        return;
    }
    control_leave();
    spawner.control = sock;
    spawner.adopter_answered_at = spawn_mono_ms();
    (void)rewatch(sock, ON_CONTROL, EPOLLIN);
    if (external_is_empty()) {
        external_send_empty(sock);
        return;
    }
    send_adopted(sock);
    spawn_log(SPAWN_LOG_NOTICE,
              MSNO(0312) "a new httpd adopts this pair with %u running jobs",
              table_jobs());
}

/* Tell which httpd has this pair. The question changes nothing. */
static void tell_httpd(int sock)
{
    uint8_t buffer[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, buffer, sizeof(buffer));
    spawn_writer_begin(&w, SPAWN_M_ASK, 0);
    spawn_put_u64(&w, SPAWN_A_HTTPD,
                  spawner.lingering ? 0 : (uint64_t)spawner.parent_pid);
    control_send(sock, &w, NULL, 0);
}

void adopter_input(void)
{
    static spawn_message message;
    spawn_packet packet;
    int sock = spawner.adopter;
    int rv;

    rv = receive_from_parent(sock, &packet);
    if (rv == -EAGAIN)
        return;
    if (rv <= 0) {
        unwatch(&spawner.adopter);
        return;
    }
    spawner.adopter = -1;
    if (spawn_message_parse(packet.data, packet.length, SPAWN_FROM_PARENT,
                            packet.fds_count, &message, NULL)
        < 0)
        message.header.type = 0;
    if (message.header.type == SPAWN_M_ADOPT) {
        adopt(sock);
    }
    else if (message.header.type == SPAWN_M_ASK) {
        tell_httpd(sock);
        unwatch(&sock);
    }
    else {
        refuse(sock, "an ADOPT message was expected");
        unwatch(&sock);
    }
    spawn_packet_close(&packet);
}

/* ---- deadlines ---- */

static int until(int64_t since, int64_t span, int64_t now)
{
    int64_t left = since + span - now;

    return left < 0 ? 0 : (int)left;
}

int parent_timers(int64_t now)
{
    int wait = -1, left;

    if (spawner.cleared_at) {
        left = until(spawner.cleared_at, CLEARED_MS, now);
        if (left == 0) {
            spawn_log(SPAWN_LOG_NOTICE,
                      MSNO(0313) "httpd runs without mod_spawn now: lingering "
                                 "until %u jobs are done",
                      table_jobs());
            control_leave();
            start_lingering();
        }
        else {
            wait = left;
        }
    }
    if (spawner.adopter >= 0) {
        left = until(spawner.adopter_since, ADOPTION_MS, now);
        if (left == 0) {
            unwatch(&spawner.adopter);
        }
        else if (wait < 0 || left < wait) {
            wait = left;
        }
    }
    if (spawner.muted_until) {
        left = until(spawner.muted_until, 0, now);
        if (left == 0) {
            spawner.muted_until = 0;
            (void)rewatch(spawner.fds[SPAWN_FD_CONTROL], ON_LISTEN, EPOLLIN);
        }
        else if (wait < 0 || left < wait) {
            wait = left;
        }
    }
    return wait;
}
