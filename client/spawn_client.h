/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_client.h
 * @brief A caller's side: find the broker, submit, ask, wait.
 *
 * Runs in callers: httpd children (through the Perl module or a C module),
 * spawnctl, cron scripts. Any thread; one client object serves all threads of
 * a process. Never forks, never touches signals, stdin or stdout; every call
 * has a deadline. A connection that broke is replaced and the request sent
 * again when that is safe (every request is: a submit by its id).
 *
 * After a fork the object may be used in the child too: connections that the
 * parent made are left alone there and new ones are made.
 */
#ifndef SPAWN_CLIENT_H
#define SPAWN_CLIENT_H

#include <poll.h>

#include "common/spawn_proto.h"
#include "common/spawn_packet.h"

typedef struct spawn_client spawn_client;

/** Where the broker is, and what proves that we may come. */
typedef struct {
    const char *socket_path;
    const uint8_t *secret; /* SPAWN_SECRET_SIZE bytes, or NULL */
    int post_fd;           /* sending end of the post socket, or -1 */
    const char *name;      /* our name, for messages: "httpd", "spawnctl" */
    uint32_t timeout_ms;   /* SpawnSubmitTimeout: for one whole request */
    /* Keeps a posted job (a SUBMIT message with that id, 16 bytes) for a broker
     * that need not be there: 0 or a negative errno. Or NULL. */
    int (*spool)(const uint8_t *id, const void *message, size_t length);
} spawn_endpoint;

/**
 * A client for an endpoint (all of it is copied; post_fd stays the caller's
 * and must outlive the client). Connects only when first used.
 * @return 0, -ENOMEM, -ENAMETOOLONG (socket path of 108 bytes or more).
 */
int spawn_client_open(const spawn_endpoint *endpoint, spawn_client **ret);

/**
 * A client whose one job ends with it: when it is closed, and when the process
 * ends, the broker ends the job that was submitted over it (TERM, and KILL
 * after its grace). A connection that breaks in between is replaced by requests
 * only; so a submit has to be answered by accepted or started: a wait for the
 * end is for another client. When a submit has no answer in time, its
 * connection is closed, and its job ends with that (TIMED_OUT for started). A
 * refused one, and one that finds another job in its place, binds nothing; and
 * when the connection broke and could not be made again, a job that the broker
 * had taken runs on, until it is killed.
 * @param like whose endpoint it has.
 */
int spawn_client_open_bound(const spawn_client *like, spawn_client **ret);

/** Does the broker see that a bound client is closed, or has it seen that its
 * connection was closed from here, or was it never sent anything? False: the
 * other side broke the connection, since the broker was replaced, and the job
 * is to be ended by KILL. */
bool spawn_client_holds(spawn_client *client);

/** Close the connections and free. No other thread may be in a call. NULL is
 * allowed. */
void spawn_client_close(spawn_client *client);

/** An answer. Free with spawn_answer_free; the message points into it. */
typedef struct {
    spawn_message message; /* ACCEPTED, JOB, PROCESS, END or DONE */
    spawn_packet packet;
    void *buffer;
} spawn_answer;

/** Afterwards message.header.type is 0: there is no message to read. A function
 * that fails leaves an answer either filled or so. */
void spawn_answer_free(spawn_answer *answer);

/**
 * Submit the job that stands in w: a finished SUBMIT message, checked here
 * before anything is sent. Returns when its REPLY field says (default
 * accepted).
 *
 * posted: sent through the post socket, ret->message.header.type is 0. When the
 * post has more than SPAWN_INLINE_MAX bytes, or the socket stays full until the
 * deadline or has no reader, it goes to the spool. A job with descriptors, or
 * of a client that has neither socket nor spool, is sent as an accepted one.
 *
 * When another job with its unique key is kept in its place (on_conflict keep),
 * that one is waited for. w stays as it is, and may be sent again.
 *
 * @param fds descriptors of the job, stay the caller's.
 * @param wait_ms how long to wait for started and finished beyond the time that
 * the submit itself may take; the job goes on when it is over (TIMED_OUT), but
 * one of a bound client has ended. 0: no limit.
 * @param kept the id of another job that is kept in its place, also when the
 * wait for it has failed; left alone when there is none. NULL: not wanted.
 * @param ret ACCEPTED, or JOB for started and finished. NULL: not wanted.
 * @return 0; -1 with why filled: INVALID, TOO_BIG (nothing was sent);
 * UNREACHABLE (nothing was sent); UNCONFIRMED (sent, no answer in time, or its
 * broker has gone and the next one cannot look it up: send the same again to
 * find out, or ask for the one that is kept); the broker's
 * refusals; TIMED_OUT; START_FAILED for reply started (ret holds the JOB then,
 * if wanted).
 */
int spawn_client_submit(spawn_client *client, spawn_writer *w, const int *fds,
                        unsigned fds_count, uint32_t wait_ms, spawn_id *kept,
                        spawn_answer *ret, spawn_failure *why);

/**
 * The same for a job whose id was made for it just now, so that no other submit
 * can have it: it may go to a worker that is lent to the caller, where nobody
 * knows which ids have been used.
 */
int spawn_client_submit_new(spawn_client *client, spawn_writer *w,
                            const int *fds, unsigned fds_count,
                            uint32_t wait_ms, spawn_id *kept, spawn_answer *ret,
                            spawn_failure *why);

/** The id that stands in a SUBMIT message; nothing when it could not be written
 * down. */
void spawn_submit_id(const spawn_writer *w, spawn_id *ret);

/** Of a JOB message: true, with why filled, when the job could not be started.
 */
bool spawn_client_start_failed(const spawn_message *job, spawn_failure *why);

/**
 * One request and its answer.
 * @param w a finished WAIT, GET or KILL message.
 * @param wait_ms for WAIT: the time that its WAIT_MS gives the broker; added
 * to the client's own deadline.
 * @return 0 with *ret (JOB, DONE); -1 with why filled (DEADLINE when late).
 */
int spawn_client_ask(spawn_client *client, spawn_writer *w, uint32_t wait_ms,
                     spawn_answer *ret, spawn_failure *why);

/** Events that may end a wait beside the answer. */
typedef struct {
    struct pollfd fd;        /* when one of its events comes, or an error */
    int every_ms;            /* 0: nobody is asked */
    bool (*ends)(void *arg); /* asked as often: true ends the wait */
    void *arg;
} spawn_beside;

/**
 * WATCH: wait until a job is no more as the caller has seen it.
 * @param seen of spawn_seen_of (common/spawn_seen.h).
 * @param wait_ms how long, at least 1.
 * @param most not when as many callers watch already, of all processes
 * together.
 * @param beside what ends the wait, too; NULL: nothing.
 * @return 0 with *ret (JOB); 1 when what is beside it has ended it; -1 with why
 * filled: TIMED_OUT when nothing has changed; QUEUE_FULL when as many watch.
 */
int spawn_client_watch(spawn_client *client, const spawn_id *id, uint64_t seen,
                       uint32_t wait_ms, uint64_t most,
                       const spawn_beside *beside, spawn_answer *ret,
                       spawn_failure *why);

/**
 * LIST: calls row for each JOB message, in the order in which they come.
 * @param row returns false to stop early.
 * @return 0, or -1 with why filled.
 */
int spawn_client_list(spawn_client *client, spawn_writer *w,
                      bool (*row)(void *arg, const spawn_message *job),
                      void *arg, spawn_failure *why);

/** How far a list has come; zeros at its beginning. */
typedef struct {
    bool paged;
    bool more;   /* there may be another page */
    bool looked; /* as many were looked at as LOOKS says: one more page goes on
                    from there */
    bool plain;  /* the broker is an older one, and tells whole arguments */
    uint64_t before;
    uint64_t rows;
} spawn_list_place;

/** One page of it, for a caller that has something else to do in between. */
int spawn_client_list_page(spawn_client *client, spawn_writer *w,
                           spawn_list_place *place,
                           bool (*row)(void *arg, const spawn_message *job),
                           void *arg, spawn_failure *why);

/**
 * Page after page, from where it is, until there is no more, the broker has
 * looked at as much as LOOKS says, or that time is over (spawn_mono_ms): then
 * place->more, and it goes on by the next call. One page is asked for always,
 * which has its own deadline.
 */
int spawn_client_list_until(spawn_client *client, spawn_writer *w,
                            spawn_list_place *place, int64_t until,
                            bool (*row)(void *arg, const spawn_message *job),
                            void *arg, spawn_failure *why);

/**
 * TEMPLATES: calls row for each PROCESS message, when all have come.
 * @return 0, or -1 with why filled.
 */
int spawn_client_templates(spawn_client *client,
                           void (*row)(void *arg, const spawn_message *process),
                           void *arg, spawn_failure *why);

/**
 * A finished CRON, QUEUES or METERS: calls row for each CRON_ENTRY, QUEUE_STATE
 * or METER, or for the ACCEPTED of a run.
 * @return 0, or -1 with why filled.
 */
int spawn_client_rows(spawn_client *client, spawn_writer *w,
                      void (*row)(void *arg, const spawn_message *m), void *arg,
                      spawn_failure *why);

/** Release of the broker that answered last ("" before). Copied into
 * text[64]. */
void spawn_client_release(spawn_client *client, char *text);

#endif
