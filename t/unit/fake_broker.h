/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A broker for the tests of the client: a thread that listens in a directory of
 * its own, says WELCOME, and hands every other message to the test's function.
 */
#ifndef FAKE_BROKER_H
#define FAKE_BROKER_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "client/spawn_client.h"
#include "common/spawn_os.h"
#include "common/spawn_release.h"
#include "t/unit/place.h"

#define FAKE_PEERS 32

typedef struct fake_broker fake_broker;

/* Answers one message; returns false to close the connection. */
typedef bool (*fake_serve)(fake_broker *f, int sock, const spawn_message *m);

struct fake_broker {
    _Atomic(fake_serve) serve;
    atomic_bool silent_hello; /* never says WELCOME */
    char dir[64];
    char path[96];
    int listener;
    int stop[2];
    pthread_t thread;
    atomic_uint hellos;
    atomic_uint requests;
    spawn_id ids[16]; /* of the requests, in their order */
};

static inline void fake_send(int sock, spawn_writer *w)
{
    (void)spawn_writer_finish(w, 0);
    (void)spawn_packet_send(sock, w->data, w->length, NULL, 0);
}

static inline void fake_accept(int sock, const spawn_message *m, uint32_t seq)
{
    uint8_t room[256];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_ACCEPTED, seq);
    spawn_put_attr(&w, SPAWN_A_ID, &m->attr[SPAWN_A_ID]);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_QUEUED);
    fake_send(sock, &w);
}

static inline void fake_refuse(int sock, const spawn_message *m,
                               spawn_error code, const char *text)
{
    uint8_t room[512];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_REFUSED, m->header.seq);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    spawn_put_u64(&w, SPAWN_A_STEP, SPAWN_STEP_QUEUE);
    spawn_put_str(&w, SPAWN_A_TEXT, text);
    fake_send(sock, &w);
}

static inline void fake_job(int sock, const spawn_message *m,
                            const spawn_attr *id, spawn_state state,
                            spawn_outcome outcome)
{
    uint8_t room[512];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_JOB, m->header.seq);
    spawn_put_attr(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_STATE, state);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    if (outcome) {
        spawn_put_u64(&w, SPAWN_A_OUTCOME, outcome);
        spawn_put_u64(&w, SPAWN_A_EXIT_CODE, 3);
    }
    if (outcome == SPAWN_OUTCOME_START_FAILED) {
        spawn_put_u64(&w, SPAWN_A_STEP, SPAWN_STEP_EXEC);
        spawn_put_u64(&w, SPAWN_A_ERRNO, ENOENT);
    }
    fake_send(sock, &w);
}

static inline bool fake_welcome(fake_broker *f, int sock,
                                const spawn_message *m)
{
    uint8_t room[256];
    spawn_writer w;

    atomic_fetch_add(&f->hellos, 1);
    if (f->silent_hello)
        return true;
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WELCOME, m->header.seq);
    spawn_put_str(&w, SPAWN_A_RELEASE, SPAWN_RELEASE);
    fake_send(sock, &w);
    return true;
}

static inline bool fake_message(fake_broker *f, int sock)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_packet p;
    spawn_message m;
    bool keep = false;
    int rv = spawn_packet_receive(sock, buffer, sizeof(buffer), &p);

    if (rv == -EAGAIN)
        return true;
    if (rv != 1)
        return false;
    if (spawn_message_parse(p.data, p.length, SPAWN_FROM_CALLER, p.fds_count,
                            &m, NULL)
        == 0) {
        if (m.header.type == SPAWN_M_HELLO) {
            keep = fake_welcome(f, sock, &m);
        }
        else {
            unsigned n = atomic_fetch_add(&f->requests, 1);

            if (n < 16 && spawn_has(&m, SPAWN_A_ID))
                spawn_attr_id(&m.attr[SPAWN_A_ID], &f->ids[n]);
            keep = atomic_load(&f->serve)(f, sock, &m);
        }
    }
    spawn_packet_close(&p);
    return keep;
}

static inline void *fake_loop(void *arg)
{
    fake_broker *f = arg;
    struct pollfd p[2 + FAKE_PEERS];
    unsigned n = 2, i;

    p[0] = (struct pollfd){f->stop[0], POLLIN, 0};
    p[1] = (struct pollfd){f->listener, POLLIN, 0};
    while (!(p[0].revents)) {
        if (poll(p, n, -1) < 0 && errno != EINTR)
            break;
        for (i = 2; i < n; i++) {
            if (p[i].revents && !fake_message(f, p[i].fd)) {
                (void)close(p[i].fd);
                p[i--] = p[--n];
            }
        }
        if (p[1].revents && n < 2 + FAKE_PEERS) {
            p[n] = (struct pollfd){
                accept4(f->listener, NULL, NULL, SOCK_CLOEXEC), POLLIN, 0};
            n++;
        }
    }
    while (n > 2)
        (void)close(p[--n].fd);
    return NULL;
}

static inline void fake_dir(fake_broker *f)
{
    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/spawn-client-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    goes_at_exit(f->dir);
    (void)snprintf(f->path, sizeof(f->path), "%s/socket", f->dir);
}

static inline void fake_listen(fake_broker *f, int backlog)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    (void)strncpy(a.sun_path, f->path, sizeof(a.sun_path) - 1);
    f->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(f->listener, backlog), 0);
}

static inline void fake_start(fake_broker *f, fake_serve serve)
{
    memset(f, 0, sizeof(*f));
    atomic_store(&f->serve, serve);
    fake_dir(f);
    fake_listen(f, 16);
    assert_int_equal(pipe(f->stop), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fake_loop, f), 0);
}

static inline void fake_stop(fake_broker *f)
{
    assert_int_equal(write(f->stop[1], "", 1), 1);
    (void)pthread_join(f->thread, NULL);
    (void)close(f->stop[0]);
    (void)close(f->stop[1]);
    (void)close(f->listener);
    (void)unlink(f->path);
    (void)rmdir(f->dir);
}

static inline spawn_client *fake_client(const char *path, int post_fd,
                                        uint32_t timeout_ms)
{
    spawn_endpoint e = {path, NULL, post_fd, "test", timeout_ms, NULL};
    spawn_client *client;

    assert_int_equal(spawn_client_open(&e, &client), 0);
    return client;
}

/* A SUBMIT of /bin/true. */
static inline void fake_submit(spawn_writer *w, spawn_id *id, spawn_reply reply)
{
    size_t mark;

    assert_int_equal(spawn_id_make(id), 0);
    spawn_writer_init(w, SPAWN_WIRE_HEADER + SPAWN_SUBMIT_MAX);
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 0);
    spawn_put_id(w, SPAWN_A_ID, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
    spawn_put_u64(w, SPAWN_A_REPLY, reply);
}

#endif
