/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Submits whose answers are taken later. Runs in callers; a submit is used by
 * one thread, and others are refused: nothing of it but its place in the list
 * is locked. Must not wait but when it is asked to, or when it has to submit
 * again; must not keep a handle of the job once there is an answer, since the
 * other end of a socket would never see its end.
 */
#include "client/submitted.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_check.h"
#include "common/spawn_os.h"
#include "client/pool.h"

/* Most answers that a connection owes; each keeps handles open. */
#define AWAITED_MOST 32

/* While the connection is taken. */
#define PAUSE_MS 1

struct spawn_submitted {
    spawn_awaited answer;
    spawn_client *client; /* NULL: it is closed */
    spawn_writer w;
    int64_t deadline;
    pid_t pid;
    pthread_t thread;
    spawn_submitted *next, **at; /* of all, under all_lock */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static spawn_submitted *all;

/* ---- all of them ---- */

static void lock_all(void)
{
    (void)pthread_mutex_lock(&all_lock);
}

static void unlock_all(void)
{
    (void)pthread_mutex_unlock(&all_lock);
}

static void in_child(void)
{
    spawn_submitted *s;

    for (s = all; s; s = s->next)
        spawn_awaited_close(&s->answer);
}

static void closed(const spawn_client *client)
{
    spawn_submitted *s;

    lock_all();
    for (s = all; s; s = s->next) {
        if (s->client == client)
            s->client = NULL;
    }
    unlock_all();
}

static void begin_telling(void)
{
    static const spawn_pool_events events = {lock_all, unlock_all, in_child,
                                             closed};

    spawn_pool_tell(&events);
}

static void link_it(spawn_submitted *s)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, begin_telling);
    lock_all();
    s->next = all;
    s->at = &all;
    if (all)
        all->at = &s->next;
    all = s;
    unlock_all();
}

static void unlink_it(spawn_submitted *s)
{
    lock_all();
    *s->at = s->next;
    if (s->next)
        s->next->at = s->at;
    unlock_all();
}

/* ---- send ---- */

static spawn_submitted *new_submitted(spawn_client *client, const int *fds,
                                      unsigned count)
{
    spawn_submitted *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->client = client;
    s->pid = getpid();
    s->thread = pthread_self();
    s->deadline = spawn_mono_ms() + spawn_pool_endpoint(client)->timeout_ms;
    while (s->answer.fds_count < count) {
        int fd = fcntl(fds[s->answer.fds_count], F_DUPFD_CLOEXEC, 3);

        if (fd < 0) {
            spawn_awaited_close(&s->answer);
            free(s);
            return NULL;
        }
        spawn_fd_keep(&s->answer.fds[s->answer.fds_count++], fd);
    }
    return s;
}

/* A connection that may owe one more. */
static spawn_connection *take(spawn_submitted *s, spawn_failure *why)
{
    spawn_connection *c;
    bool fresh;
    int rv = spawn_pool_take(s->client, s->deadline, &c, &fresh, why);

    if (rv)
        return NULL;
    if (c->awaited_count >= AWAITED_MOST)
        rv = spawn_connection_take(c, c->awaited, s->deadline, why);
    if (rv == 0)
        return c;
    spawn_pool_drop(s->client, c);
    return NULL;
}

static int send_it(spawn_submitted *s, spawn_writer *w, const int *fds,
                   unsigned count, spawn_failure *why)
{
    spawn_connection *c = take(s, why);

    if (!c)
        return -1;
    if (spawn_connection_send(c, w, fds, count, s->deadline)) {
        spawn_pool_drop(s->client, c);
        return -1;
    }
    spawn_connection_await(c, &s->answer);
    spawn_pool_give(s->client, c);
    return 0;
}

int spawn_client_send(spawn_client *client, spawn_writer *w, const int *fds,
                      unsigned fds_count, spawn_submitted **ret,
                      spawn_failure *why)
{
    spawn_submitted *s;
    spawn_message job;

    if (w->error
        || spawn_message_parse(w->data, w->length, SPAWN_FROM_CALLER, fds_count,
                               &job, why)
        || job.header.type != SPAWN_M_SUBMIT)
        return 1; /* which says what is wrong */
    if (spawn_job_check(&job, why))
        return -1;
    s = new_submitted(client, fds, fds_count);
    if (!s)
        return 1;
    if (send_it(s, w, fds, fds_count, why)) {
        spawn_awaited_close(&s->answer);
        free(s);
        return 1;
    }
    s->w = *w;
    spawn_writer_init(w, w->limit);
    link_it(s);
    *ret = s;
    return 0;
}

/* ---- the answer ---- */

static void unconfirmed(spawn_submitted *s, int error, const char *what)
{
    spawn_failure_set(&s->answer.why, SPAWN_E_UNCONFIRMED, SPAWN_STEP_RECEIVE,
                      error,
                      "the job was sent to %s and %s: it may or may not be "
                      "accepted; submit it again with the same id to find out",
                      spawn_pool_endpoint(s->client)->socket_path, what);
    s->answer.came = -1;
}

/* A broker that cannot look it up now does not say that it has not run. */
static void in_doubt(spawn_submitted *s)
{
    spawn_failure was = s->answer.why;
    char what[256];

    (void)snprintf(what, sizeof(what),
                   "the connection broke, and the next broker cannot tell "
                   "whether it has run (%.80s)",
                   was.text);
    unconfirmed(s, was.error, what);
}

/* The broker that was sent it may have taken it: the id says whether. */
static void submit_again(spawn_submitted *s)
{
    int fds[SPAWN_JOB_FDS_MAX];
    unsigned i;
    int rv;

    for (i = 0; i < s->answer.fds_count; i++) {
        fds[i] = spawn_fd_kept(&s->answer.fds[i]);
        if (fds[i] >= 0)
            continue;
        unconfirmed(s, EBADF,
                    "the connection broke, and this process has closed a "
                    "handle of the job");
        return;
    }
    rv = spawn_client_submit(s->client, &s->w, fds, s->answer.fds_count, 0,
                             NULL, NULL, &s->answer.why);
    /* A broker may have taken it before. */
    if (rv < 0 && s->answer.why.code == SPAWN_E_UNREACHABLE)
        unconfirmed(s, s->answer.why.error,
                    "the connection broke and cannot be made again");
    else if (rv < 0
             && (s->answer.why.code == SPAWN_E_STORE
                 || s->answer.why.code == SPAWN_E_SYSTEM))
        in_doubt(s);
    else
        s->answer.came = rv < 0 ? -1 : 1;
}

static bool is_late(const spawn_submitted *s)
{
    return spawn_mono_ms() >= s->deadline;
}

/* True: look again. */
static bool receive(spawn_submitted *s, spawn_connection *c, bool wait)
{
    spawn_failure why;
    int rv = spawn_connection_take(c, &s->answer, wait ? s->deadline : 0, &why);

    if (rv == -EBADMSG || rv == -EPROTONOSUPPORT) {
        spawn_pool_drop(s->client, c);
        unconfirmed(s, -rv, "the answer cannot be read");
        return true;
    }
    if (rv && rv != -ETIMEDOUT) {
        spawn_pool_drop(s->client, c); /* so it has none any more */
        return true;
    }
    if (rv && is_late(s)) {
        spawn_connection_forget(c, &s->answer);
        unconfirmed(s, ETIMEDOUT, "there was no answer within the deadline");
        rv = 0;
    }
    spawn_pool_give(s->client, c);
    return rv == 0;
}

/* Is there nobody to ask? In a child the parent asks. */
static bool is_over(const spawn_submitted *s)
{
    return !s->client || s->pid != getpid();
}

/* In a child there is one thread that was there before it. */
static bool is_anothers(const spawn_submitted *s)
{
    return s->pid == getpid() && !pthread_equal(s->thread, pthread_self());
}

static int refuse(spawn_failure *why)
{
    spawn_failure_set(why, SPAWN_E_NOT_PERMITTED, SPAWN_STEP_NONE, 0,
                      "another thread has sent the job, and alone can take the "
                      "answer");
    return -1;
}

int spawn_submitted_look(spawn_submitted *s, bool wait, spawn_failure *why)
{
    int came;

    if (is_anothers(s))
        return refuse(why);
    if (wait && s->client) /* as every call */
        s->deadline =
            spawn_mono_ms() + spawn_pool_endpoint(s->client)->timeout_ms;
    while (!(came = __atomic_load_n(&s->answer.came, __ATOMIC_ACQUIRE))) {
        spawn_connection *c;
        bool busy;

        if (is_over(s))
            return 1;
        c = spawn_pool_take_for(s->client, &s->answer, &busy);
        if (c) {
            if (!receive(s, c, wait))
                return 0;
        }
        else if (!busy) {
            if (!__atomic_load_n(&s->answer.came, __ATOMIC_ACQUIRE))
                submit_again(s);
        }
        else if (!wait) {
            return 0;
        }
        else if (is_late(s)) {
            unconfirmed(s, ETIMEDOUT, "its connection was taken all the time");
        }
        else {
            spawn_pause(PAUSE_MS, s->deadline);
        }
    }
    spawn_awaited_close(&s->answer);
    if (came < 0)
        *why = s->answer.why;
    return came;
}

int spawn_submitted_fd(const spawn_submitted *s)
{
    return is_over(s) || is_anothers(s)
               ? -1
               : spawn_pool_watch(s->client, &s->answer);
}

int64_t spawn_submitted_left(const spawn_submitted *s)
{
    int64_t left = s->deadline - spawn_mono_ms();

    return left > 0 ? left : 0;
}

void spawn_submitted_look_at_all(void)
{
    spawn_submitted *s;
    spawn_failure why;

    do {
        lock_all();
        for (s = all; s; s = s->next) {
            if (pthread_equal(s->thread, pthread_self()) && !s->answer.came
                && !is_over(s))
                break;
        }
        unlock_all();
        if (s)
            (void)spawn_submitted_look(s, true, &why);
    } while (s);
}

void spawn_submitted_free(spawn_submitted *s)
{
    if (!s || is_anothers(s))
        return;
    unlink_it(s);
    if (s->client)
        spawn_pool_forget(s->client, &s->answer);
    spawn_awaited_close(&s->answer);
    spawn_writer_free(&s->w);
    free(s);
}
