/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_error.h
 * @brief Error codes, start steps, job states and outcomes: the one list of
 * each, from which C, Perl, spawnctl and the documents take names and numbers.
 *
 * The numbers travel on the wire and stand in the store: never change or reuse
 * one, add at the end. mod_spawn.h has them for modules in C, and
 * docs/c-api.md.
 *
 * Runs in every process. Pure data; no allocation, no I/O.
 */
#ifndef SPAWN_ERROR_H
#define SPAWN_ERROR_H

#include <stdbool.h>

/* Why a request failed. X(number, NAME, "name", "what it means") */
#define SPAWN_ERROR_LIST(X)                                                    \
    X(0, OK, "ok", "no error")                                                 \
    X(1, UNREACHABLE, "unreachable", "nobody answers at the socket")           \
    X(2, UNCONFIRMED, "unconfirmed",                                           \
      "no clear answer; the job may or may not be accepted, or have run")      \
    X(3, DEADLINE, "deadline", "no answer within the deadline")                \
    X(4, QUEUE_FULL, "queue_full", "the queue's waiting list is full")         \
    X(5, UNKNOWN_QUEUE, "unknown_queue", "no such queue is configured")        \
    X(6, INVALID, "invalid", "a field has a value that is not allowed")        \
    X(7, UNKNOWN_OPTION, "unknown_option", "no such option")                   \
    X(8, TOO_BIG, "too_big", "a field or the whole job is too big")            \
    X(9, NOT_PERMITTED, "not_permitted", "the caller may not do this")         \
    X(10, NO_SUCH_JOB, "no_such_job", "no job with this id is known")          \
    X(11, TOO_OLD, "too_old",                                                  \
      "the id is older than the kept history, or its time is wrong")           \
    X(12, START_FAILED, "start_failed", "the job could not be started")        \
    X(13, TIMED_OUT, "timed_out", "what was waited for did not come in time")  \
    X(14, STOPPING, "stopping",                                                \
      "never sent: new jobs are stored while httpd stops")                     \
    X(15, VERSION, "version", "the other side speaks another wire version")    \
    X(16, PROTOCOL, "protocol", "a message broke the rules of the wire")       \
    X(17, STORE, "store", "the store could not be read or written")            \
    X(18, SYSTEM, "system", "a system call failed")                            \
    X(19, CONFLICT, "conflict",                                                \
      "another job with this id and other contents is known")                  \
    X(20, NOT_RUNNING, "not_running", "the job is not running")                \
    X(21, OUTPUT_GONE, "output_gone", "the captured output is not kept")       \
    X(22, CALL_FAILED, "call_failed",                                          \
      "the Perl function ended its process without a result")                  \
    X(23, NOT_SENDABLE, "not_sendable",                                        \
      "a value cannot travel to another process")                              \
    X(24, EXPIRED, "expired",                                                  \
      "the job was to start by a time, and had not started")                   \
    X(25, NOT_DEAD, "not_dead", "the job is not dead")                         \
    X(26, NOT_UNIQUE, "not_unique",                                            \
      "another job of the queue has the unique key")                           \
    X(27, NOT_DELAYED, "not_delayed", "the job does not wait for its time")

/* Where it failed: the steps of a submit, then those of a start. They happen in
 * the order of spawn_child_set_up: signals come after session, and a smaller
 * bounding set (privileges) before groups. The spawner does cgroup. X(number,
 * NAME, "name") */
#define SPAWN_STEP_LIST(X)                                                     \
    X(0, NONE, "none")                                                         \
    X(1, OPTIONS, "options")                                                   \
    X(2, CONNECT, "connect")                                                   \
    X(3, SEND, "send")                                                         \
    X(4, RECEIVE, "receive")                                                   \
    X(5, HELLO, "hello")                                                       \
    X(6, CHECK, "check")                                                       \
    X(7, QUEUE, "queue")                                                       \
    X(8, STORE, "store")                                                       \
    X(9, ORDER, "order")                                                       \
    X(10, TEMPLATE, "template")                                                \
    X(20, FORK, "fork")                                                        \
    X(21, SESSION, "session")                                                  \
    X(22, CGROUP, "cgroup")                                                    \
    X(23, LIMITS, "limits")                                                    \
    X(24, PRIORITY, "priority")                                                \
    X(25, GROUPS, "groups")                                                    \
    X(26, GID, "gid")                                                          \
    X(27, UID, "uid")                                                          \
    X(28, UMASK, "umask")                                                      \
    X(29, CWD, "cwd")                                                          \
    X(30, STDIN, "stdin")                                                      \
    X(31, STDOUT, "stdout")                                                    \
    X(32, STDERR, "stderr")                                                    \
    X(33, FDS, "fds")                                                          \
    X(34, SIGNALS, "signals")                                                  \
    X(35, PRIVILEGES, "privileges")                                            \
    X(36, EXEC, "exec")                                                        \
    X(37, INTERPRETER, "interpreter") /* exec, but the file is there */        \
    X(38, ALLOW, "allow") /* exec, but SpawnAllow has not the file */

/* Where a job is in its life. DELAYED is only told: a job that is QUEUED, and
 * whose time to start has not come. */
#define SPAWN_STATE_LIST(X)                                                    \
    X(0, NONE, "none")                                                         \
    X(1, QUEUED, "queued")                                                     \
    X(2, STARTING, "starting")                                                 \
    X(3, RUNNING, "running")                                                   \
    X(4, DONE, "done")                                                         \
    X(5, DELAYED, "delayed")

/* The states of a template's process or a worker. */
#define SPAWN_PROCESS_LIST(X)                                                  \
    X(0, NONE, "none") /* there is no process */                               \
    X(1, PRELOADING, "preloading")                                             \
    X(2, READY, "ready")       /* jobs are forked from it */                   \
    X(3, STARTING, "starting") /* a worker, before it takes calls */           \
    X(4, IDLE, "idle")                                                         \
    X(5, BUSY, "busy")                                                         \
    X(6, LEAVING, "leaving")

/* How a job ended: the words of Perl, spawnctl, its JSON and the log, which are
 * compared. */
#define SPAWN_OUTCOME_LIST(X)                                                  \
    X(0, NONE, "none")                                                         \
    X(1, EXITED, "exited")                                                     \
    X(2, SIGNALLED, "signalled")                                               \
    X(3, TIMED_OUT, "timed_out")                                               \
    X(4, CANCELLED, "cancelled")                                               \
    X(5, START_FAILED, "start_failed")                                         \
    X(6, EXPIRED, "expired")                                                   \
    X(7, LOST, "lost")                                                         \
    X(8, ENDED, "code_unknown")                                                \
    X(9, OUT_OF_MEMORY, "out_of_memory")

/* When a submit is answered. */
#define SPAWN_REPLY_LIST(X)                                                    \
    X(0, POSTED, "posted")                                                     \
    X(1, ACCEPTED, "accepted")                                                 \
    X(2, STARTED, "started")                                                   \
    X(3, FINISHED, "finished")

#define SPAWN_X_ERROR(n, NAME, name, text) SPAWN_E_##NAME = n,
#define SPAWN_X_STEP(n, NAME, name)        SPAWN_STEP_##NAME = n,
#define SPAWN_X_STATE(n, NAME, name)       SPAWN_STATE_##NAME = n,
#define SPAWN_X_PROCESS(n, NAME, name)     SPAWN_PROCESS_##NAME = n,
#define SPAWN_X_OUTCOME(n, NAME, name)     SPAWN_OUTCOME_##NAME = n,
#define SPAWN_X_REPLY(n, NAME, name)       SPAWN_REPLY_##NAME = n,

typedef enum {
    SPAWN_ERROR_LIST(SPAWN_X_ERROR)
} spawn_error;
typedef enum {
    SPAWN_STEP_LIST(SPAWN_X_STEP)
} spawn_step;
typedef enum {
    SPAWN_STATE_LIST(SPAWN_X_STATE)
} spawn_state;
typedef enum {
    SPAWN_PROCESS_LIST(SPAWN_X_PROCESS)
} spawn_process_state;
typedef enum {
    SPAWN_OUTCOME_LIST(SPAWN_X_OUTCOME)
} spawn_outcome;
typedef enum {
    SPAWN_REPLY_LIST(SPAWN_X_REPLY)
} spawn_reply;

/**
 * A failure as it travels to the caller: a code, the step, the errno of that
 * step (0 when no system call failed) and a sentence for a person.
 */
typedef struct {
    spawn_error code;
    spawn_step step;
    int error;
    char text[320];
} spawn_failure;

/** Names for numbers; "unknown" for a number that is not in the list. Static
 * strings, never NULL. */
const char *spawn_error_name(unsigned code);
const char *spawn_error_text(unsigned code);
const char *spawn_step_name(unsigned step);
const char *spawn_state_name(unsigned state);
const char *spawn_process_name(unsigned state);
const char *spawn_outcome_name(unsigned outcome);
const char *spawn_reply_name(unsigned reply);

/** After this error of a submit the job may be there all the same. */
bool spawn_error_leaves_job(unsigned code);

/**
 * Number for a reply name.
 * @return the number, or -EINVAL when there is no such name.
 */
int spawn_reply_number(const char *name);

/**
 * Number for a state name.
 * @return the number, or -EINVAL when there is no such name.
 */
int spawn_state_number(const char *name);

/**
 * Fill a failure: printf-style text, cut at the size of the field.
 * @param f may be NULL: nothing is done then.
 * @param error an errno, positive, or 0.
 */
void spawn_failure_set(spawn_failure *f, spawn_error code, spawn_step step,
                       int error, const char *fmt, ...)
    __attribute__((cold, format(printf, 5, 6)));

#endif
