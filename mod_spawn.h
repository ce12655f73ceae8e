/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file mod_spawn.h
 * @brief The API of mod_spawn for other modules of the same httpd: programs and
 * Perl functions as jobs, which run outside of httpd and outlive it.
 * docs/c-api.md explains it, examples/c/mod_spawn_example.c uses it. All are
 * optional functions: spawn_api_find gets those for jobs in one call, and says
 * when mod_spawn is not loaded. All run in httpd children, in any thread and
 * under any MPM, and never fork.
 */
#ifndef MOD_SPAWN_H
#define MOD_SPAWN_H

#include <stddef.h>
#include <stdint.h>

#include "apr_optional.h"
#include "apr_pools.h"
#include "apr_tables.h"
#include "apr_time.h"
#include "httpd.h"

/* ---- jobs ---- */

/** A job that is described, and submitted. Lives in its pool; one thread at a
 * time uses it. The job that runs does not depend on it. */
typedef struct spawn_job spawn_job;

/** When a submit, or a wait, returns. */
typedef enum {
    SPAWN_UNTIL_POSTED = 0,   /* it is sent; nobody has answered */
    SPAWN_UNTIL_ACCEPTED = 1, /* it is safe: it runs, or its failure is told */
    SPAWN_UNTIL_STARTED = 2,  /* its program runs */
    SPAWN_UNTIL_FINISHED = 3  /* it has ended */
} spawn_until;

/** Where a job is in its life. */
typedef enum {
    SPAWN_JOB_UNKNOWN = 0, /* this answer does not say */
    SPAWN_JOB_QUEUED = 1,
    SPAWN_JOB_STARTING = 2,
    SPAWN_JOB_RUNNING = 3,
    SPAWN_JOB_DONE = 4,
    SPAWN_JOB_DELAYED = 5 /* its time to start has not come */
} spawn_job_state;

/** How a job ended. */
typedef enum {
    SPAWN_END_NOT = 0, /* it has not */
    SPAWN_END_EXITED = 1,
    SPAWN_END_SIGNALLED = 2,
    SPAWN_END_TIMED_OUT = 3, /* it was ended at its timeout */
    SPAWN_END_CANCELLED = 4, /* somebody killed it */
    SPAWN_END_START_FAILED = 5,
    SPAWN_END_EXPIRED = 6,      /* it had not started by its `expires` */
    SPAWN_END_LOST = 7,         /* nobody knows how: the machine stopped */
    SPAWN_END_CODE_UNKNOWN = 8, /* it ended, its parent had gone before */
    SPAWN_END_OUT_OF_MEMORY = 9 /* the kernel killed it for want of memory */
} spawn_job_end;

/** Why a function failed. New ones may come: have a default. */
typedef enum {
    SPAWN_FAIL_OK = 0,
    SPAWN_FAIL_UNREACHABLE = 1,   /* nothing was sent */
    SPAWN_FAIL_UNCONFIRMED = 2,   /* sent, no answer: submit the same again */
    SPAWN_FAIL_DEADLINE = 3,      /* a question was not answered in time */
    SPAWN_FAIL_QUEUE_FULL = 4,    /* later there may be room */
    SPAWN_FAIL_UNKNOWN_QUEUE = 5, /* httpd.conf has none of this name */
    SPAWN_FAIL_INVALID = 6, /* the message says what, and what is wanted */
    SPAWN_FAIL_UNKNOWN_OPTION = 7, /* no such option */
    SPAWN_FAIL_TOO_BIG = 8,
    SPAWN_FAIL_NOT_PERMITTED = 9,
    SPAWN_FAIL_NO_SUCH_JOB = 10,
    SPAWN_FAIL_TOO_OLD = 11,      /* the id is older than the history */
    SPAWN_FAIL_START_FAILED = 12, /* step and error say where and why */
    SPAWN_FAIL_TIMED_OUT = 13,    /* the wait is over, and the job goes on */
    SPAWN_FAIL_STOPPING = 14,
    SPAWN_FAIL_VERSION = 15,
    SPAWN_FAIL_PROTOCOL = 16,
    SPAWN_FAIL_STORE = 17,
    SPAWN_FAIL_SYSTEM = 18,   /* a system call failed: error */
    SPAWN_FAIL_CONFLICT = 19, /* another job has this id */
    SPAWN_FAIL_NOT_RUNNING = 20,
    SPAWN_FAIL_OUTPUT_GONE = 21,
    SPAWN_FAIL_CALL_FAILED = 22,
    SPAWN_FAIL_NOT_SENDABLE = 23,
    SPAWN_FAIL_EXPIRED = 24,
    SPAWN_FAIL_NOT_DEAD = 25,
    SPAWN_FAIL_NOT_UNIQUE = 26, /* another job has this unique key */
    SPAWN_FAIL_NOT_DELAYED = 27
} spawn_fail;

/*
 * The structs that functions fill grow at their ends in later releases. SIZE
 * says how much of one your module knows; set it before each call:
 *
 *     spawn_job_info info = {.size = sizeof(info)};
 *
 * Nothing is written beyond it. A field that your module knows and this
 * mod_spawn does not is zero.
 */

/** A failure. The texts of code_name and step are constants. */
typedef struct {
    apr_size_t size;
    int code;              /* spawn_fail */
    int error;             /* the errno of that step, or 0 */
    const char *code_name; /* "queue_full": the word of Perl and spawnctl */
    const char *step;      /* "exec": where it failed; "none" */
    char message[320];     /* a sentence for a person */
} spawn_job_failure;

/** The bytes that are kept of a captured stream. */
typedef struct {
    const char *data;   /* a NUL follows; NULL: it was not captured */
    apr_size_t length;  /* of data */
    apr_uint64_t lost;  /* bytes that are missing; APR_UINT64_MAX: all, and
                           nobody knows how many */
    apr_size_t lost_at; /* where in data they are missing */
} spawn_job_output;

/** A job as the broker knows it. Texts lie in the pool of the call; NULL: none.
 */
typedef struct {
    apr_size_t size;
    char id[40];
    int state;        /* spawn_job_state */
    int end;          /* spawn_job_end */
    int exit_code;    /* -1: none */
    int signal;       /* that ended it, or 0 */
    int core;         /* 1: it left a core file */
    int attempt;      /* 1, or with `retry` more */
    int error;        /* errno of a start that failed, or 0 */
    const char *step; /* where a start failed, or "none" */
    apr_int64_t pid;  /* 0: it has none */
    const char *queue, *label;
    const char *message;                  /* how it failed, for a person */
    apr_time_t submitted, started, ended; /* 0: not yet */
    apr_interval_time_t elapsed;          /* of its run */
    spawn_job_output out, err;
    int dead; /* 1: it has failed for good; spawn_job_revive tries it again */
} spawn_job_info;

/** Which jobs a list has: those for which all of it holds. Set size, as of the
 * others; zeros are all jobs. */
typedef struct {
    apr_size_t size;
    const char *queue; /* of this queue; NULL: of each */
    int state;         /* spawn_job_state; SPAWN_JOB_UNKNOWN: in each */
    int dead;          /* 1: those that are dead, and state does not count */
    apr_size_t rows;   /* so many at most, the newest; 0: all */
} spawn_job_filter;

/** Called for each row of a list, by the thread that asked for it. It is to
 * return soon, and not to ask for other jobs: note the ids, and do that when
 * the list has returned.
 * @return 0: no more rows are wanted. */
typedef int spawn_job_row(void *of, const spawn_job_info *info);

/**
 * Begin to describe a job. It has an id from now on (spawn_job_id).
 *
 * @param p where it lives; NULL: r->pool. An older pool than the request's is
 * allowed.
 * @param r the request that wants it, for its context (request_id, vhost, user,
 * client, uri, method; copied), or NULL. Its note "spawn-jobs" has the job's id
 * once that is submitted or registered, so do that in the thread that works on
 * the request. Its SpawnDefaultQueue and SpawnQueueAccess count for the job, as
 * they are now.
 * @param s the virtual host, whose SpawnSubmitTimeout counts; and, when r is
 * NULL, whose SpawnDefaultQueue and SpawnQueueAccess do. NULL: r's, or the main
 * server.
 * @return the job; NULL when p and r are NULL.
 */
APR_DECLARE_OPTIONAL_FN(spawn_job *, spawn_job_make,
                        (apr_pool_t * p, request_rec *r, server_rec *s));

/*
 * The functions that describe a job copy what they are given, and return
 * APR_SUCCESS or APR_EINVAL, APR_ENOSPC. You need not look: the job keeps the
 * first fault and submit returns it. When something is set twice, the last one
 * counts. A NULL job is APR_EINVAL.
 */

/** The program and its arguments, ended by NULL; no shell reads them. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_program,
                        (spawn_job * job, const char *const *argv));

/** In the place of a program: a Perl function, by its full name, with texts as
 * arguments. args is ended by NULL, or is NULL. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_function,
                        (spawn_job * job, const char *name,
                         const char *const *args));

/** An option by its name, as text: "timeout", "30s". All of perldoc
 * Apache2::Spawn::Options but reply, and those of spawn_job_pair and
 * spawn_job_fd. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_option,
                        (spawn_job * job, const char *name, const char *value));

/**
 * One pair of an option that has pairs: env, context, limits.
 * @param value NULL takes a variable out of the job's environment, or a pair
 * out of its context.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_pair,
                        (spawn_job * job, const char *option, const char *name,
                         const char *value));

/** The bytes that the job reads from its stdin: at most 16 MB. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_data,
                        (spawn_job * job, const void *data, apr_size_t length));

/** A descriptor that the job has under the number TARGET: 0 to 2, or more
 * (option fds). It stays yours; keep it open until the submit has returned, and
 * close it when you like then. */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_fd,
                        (spawn_job * job, int target, int fd));

/** The job's id, a UUID; lives as long as the job. NULL for a NULL job. With
 * the option on_conflict=keep, after the submit: that of the job that is kept.
 */
APR_DECLARE_OPTIONAL_FN(const char *, spawn_job_id, (const spawn_job *job));

/**
 * Submit the job. Takes at most SpawnSubmitTimeout, and WAIT on top until it
 * has started or ended. Submitting it again, after UNCONFIRMED say, starts no
 * second one.
 *
 * @param wait for started and finished: how long to wait, in microseconds; 0:
 * not at all; negative: without an end. The job's own `timeout` is another
 * matter.
 * @param info what is known of it then, in the job's pool; NULL: not wanted.
 * @param why NULL: not wanted.
 * @return APR_SUCCESS; APR_TIMEUP (TIMED_OUT): it goes on; of a start that
 * failed the errno, and info is filled; else by the code, docs/c-api.md. How
 * the program ended is no failure of the submit.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_submit,
                        (spawn_job * job, spawn_until until,
                         apr_interval_time_t wait, spawn_job_info *info,
                         spawn_job_failure *why));

/** Of which requests a job for after the answer is wanted. */
typedef enum {
    SPAWN_CLEANUP_ALWAYS = 0,
    SPAWN_CLEANUP_SUCCESS = 1, /* a status below 400, and not aborted */
    SPAWN_CLEANUP_ERROR = 2,   /* a status of 400 or more */
    SPAWN_CLEANUP_ABORTED = 3  /* the client went before it had all */
} spawn_cleanup_when;

/**
 * Have the job posted when the client of the request has its whole answer. All
 * of it is copied: the job and its pool may go. Its context is completed then.
 * No descriptors can go with it. Never waits.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_cleanup,
                        (spawn_job * job, request_rec *r,
                         spawn_cleanup_when when, spawn_job_failure *why));

/**
 * Wait until a job has started or ended, of any submitter.
 *
 * @param s as of spawn_job_make; p: for the texts of info.
 * @param id of spawn_job_id.
 * @param until started or finished.
 * @param wait as of spawn_job_submit.
 * @return APR_SUCCESS: it has started or ended, see info; APR_TIMEUP: not yet;
 * APR_NOTFOUND: there is no such job.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_wait,
                        (server_rec * s, apr_pool_t *p, const char *id,
                         spawn_until until, apr_interval_time_t wait,
                         spawn_job_info *info, spawn_job_failure *why));

/** Get a job as the broker knows it now, with captured output (1) or without
 * (0). */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_status,
                        (server_rec * s, apr_pool_t *p, const char *id,
                         int with_output, spawn_job_info *info,
                         spawn_job_failure *why));

/**
 * Send a signal to the process group of a job that runs; one that waits is
 * taken out of its queue.
 * @return APR_SUCCESS: it is sent, which is not its end; APR_EPROC_UNKNOWN
 * (NOT_RUNNING): it has ended.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_kill,
                        (server_rec * s, const char *id, int signal,
                         spawn_job_failure *why));

/**
 * Have a job that is dead (it had the option `retry`, and has failed for good)
 * tried again, as often as it was before. It keeps its id.
 * @return APR_SUCCESS: it waits for its next attempt; APR_EPROC_UNKNOWN
 * (NOT_DEAD): it is not dead, or not any more.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_revive,
                        (server_rec * s, const char *id,
                         spawn_job_failure *why));

/**
 * Start a job that waits for its time, or for its next attempt, as if that had
 * come: it waits behind others of its queue still.
 * @return APR_SUCCESS; APR_EPROC_UNKNOWN (NOT_DELAYED): it waits for no time,
 * or has ended.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_start_now,
                        (server_rec * s, const char *id,
                         spawn_job_failure *why));

/**
 * List jobs that the broker knows, the newest first, without captured output.
 *
 * @param s as of spawn_job_make; p: a pool of its own is made in it.
 * @param which NULL: all jobs.
 * @param info filled for each row; its texts are there until row returns.
 * @param row called with OF and INFO, for each job.
 * @return APR_SUCCESS: to the end, or until row wanted no more.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_list,
                        (server_rec * s, apr_pool_t *p,
                         const spawn_job_filter *which, spawn_job_info *info,
                         spawn_job_row *row, void *of, spawn_job_failure *why));

/** Bytes of a token, with its NUL; and the longest life of one: a year. */
#define SPAWN_JOB_TOKEN_SIZE     50
#define SPAWN_JOB_TOKEN_LIFE_MAX apr_time_from_sec((apr_time_t)366 * 86400)

/**
 * A token for a visitor, who may then ask for this job, and for no other, where
 * SetHandler spawn-job is: docs/job-status.md. Made in memory; nobody is asked
 * whether there is such a job.
 * @param id of spawn_job_id.
 * @param life how long it is good; 0: an hour.
 * @param text SPAWN_JOB_TOKEN_SIZE bytes: digits, letters and a hyphen.
 * @return APR_SUCCESS; APR_EINVAL: it is no id, or life is too long; APR_EINIT:
 * this is no child of httpd.
 */
APR_DECLARE_OPTIONAL_FN(apr_status_t, spawn_job_token,
                        (const char *id, apr_interval_time_t life, char *text));

/** The functions above. Grows at its end; only spawn_api_find fills it. */
typedef struct {
    APR_OPTIONAL_FN_TYPE(spawn_job_make) * make;
    APR_OPTIONAL_FN_TYPE(spawn_job_program) * program;
    APR_OPTIONAL_FN_TYPE(spawn_job_function) * function;
    APR_OPTIONAL_FN_TYPE(spawn_job_option) * option;
    APR_OPTIONAL_FN_TYPE(spawn_job_pair) * pair;
    APR_OPTIONAL_FN_TYPE(spawn_job_data) * data;
    APR_OPTIONAL_FN_TYPE(spawn_job_fd) * fd;
    APR_OPTIONAL_FN_TYPE(spawn_job_id) * id;
    APR_OPTIONAL_FN_TYPE(spawn_job_submit) * submit;
    APR_OPTIONAL_FN_TYPE(spawn_job_cleanup) * cleanup;
    APR_OPTIONAL_FN_TYPE(spawn_job_wait) * wait;
    APR_OPTIONAL_FN_TYPE(spawn_job_status) * status;
    APR_OPTIONAL_FN_TYPE(spawn_job_kill) * kill;
    APR_OPTIONAL_FN_TYPE(spawn_job_token) * token;
    APR_OPTIONAL_FN_TYPE(spawn_job_revive) * revive;
    APR_OPTIONAL_FN_TYPE(spawn_job_list) * list;
    APR_OPTIONAL_FN_TYPE(spawn_job_start_now) * start_now;
} spawn_api;

/**
 * Get them all. Call it in your optional_fn_retrieve hook: a restart loads
 * mod_spawn to another place. revive, list and start_now came later than the
 * others: with a mod_spawn that is older than they are they are NULL, and the
 * others good.
 * @return 1; 0 when mod_spawn is not loaded, or has not all of the others.
 */
static APR_INLINE int spawn_api_find(spawn_api *api)
{
    api->make = APR_RETRIEVE_OPTIONAL_FN(spawn_job_make);
    api->program = APR_RETRIEVE_OPTIONAL_FN(spawn_job_program);
    api->function = APR_RETRIEVE_OPTIONAL_FN(spawn_job_function);
    api->option = APR_RETRIEVE_OPTIONAL_FN(spawn_job_option);
    api->pair = APR_RETRIEVE_OPTIONAL_FN(spawn_job_pair);
    api->data = APR_RETRIEVE_OPTIONAL_FN(spawn_job_data);
    api->fd = APR_RETRIEVE_OPTIONAL_FN(spawn_job_fd);
    api->id = APR_RETRIEVE_OPTIONAL_FN(spawn_job_id);
    api->submit = APR_RETRIEVE_OPTIONAL_FN(spawn_job_submit);
    api->cleanup = APR_RETRIEVE_OPTIONAL_FN(spawn_job_cleanup);
    api->wait = APR_RETRIEVE_OPTIONAL_FN(spawn_job_wait);
    api->status = APR_RETRIEVE_OPTIONAL_FN(spawn_job_status);
    api->kill = APR_RETRIEVE_OPTIONAL_FN(spawn_job_kill);
    api->token = APR_RETRIEVE_OPTIONAL_FN(spawn_job_token);
    api->revive = APR_RETRIEVE_OPTIONAL_FN(spawn_job_revive);
    api->list = APR_RETRIEVE_OPTIONAL_FN(spawn_job_list);
    api->start_now = APR_RETRIEVE_OPTIONAL_FN(spawn_job_start_now);
    return api->make && api->program && api->function && api->option
           && api->pair && api->data && api->fd && api->id && api->submit
           && api->cleanup && api->wait && api->status && api->kill
           && api->token;
}

#endif
