/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_perl.h
 * @brief Between the files of the Perl extension, which turn Perl values into a
 * SUBMIT message and answers into Perl objects.
 *
 * Runs in callers, in any thread with an interpreter. Nothing here may keep a
 * pointer to an interpreter or a Perl value beyond a call; what is kept for the
 * life of the process (the endpoints) holds no Perl data.
 *
 * Memory that must be freed when a Perl exception passes is on Perl's save
 * stack (SAVEDESTRUCTOR_X); the entry functions open and close a scope for it.
 */
#ifndef SPAWN_PERL_H
#define SPAWN_PERL_H

#include <signal.h>

#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include "client/spawn_client.h"
#include "client/submitted.h"
#include "common/spawn_fd.h"
#include "common/spawn_field.h"
#include "perl/xs/taint.h"

#define SPAWN_PERL_CLASS  "Apache2::Spawn"
#define SPAWN_PERL_JOB    "Apache2::Spawn::Job"
#define SPAWN_PERL_RESULT "Apache2::Spawn::Result"
#define SPAWN_PERL_ERROR  "Apache2::Spawn::Error"

/** SpawnSubmitTimeout where there is no httpd.conf, and none is given. */
#define SPAWN_PERL_SUBMIT_MS 2000
/** timeout of run and call when none is given. */
#define SPAWN_PERL_RUN_MS 60000
/** How long a caller waits beyond timeout and grace for the news of the end. */
#define SPAWN_PERL_MARGIN_MS 2000
/** Perl's signal handlers get their turn this often during a wait. */
#define SPAWN_PERL_SLICE_MS 1000

/** A program or a Perl function, and whether its end is waited for. */
typedef enum {
    SPAWN_PERL_SPAWN,
    SPAWN_PERL_RUN,
    SPAWN_PERL_SPAWN_CALL,
    SPAWN_PERL_CALL
} spawn_perl_verb;

/** One entry of context that is filled in from a request. */
typedef struct {
    const char *name;
    const char *value;
} spawn_perl_pair;

#define SPAWN_PERL_PAIRS 6

/** The request or script that asks for a job. */
typedef struct {
    spawn_perl_pair pairs[SPAWN_PERL_PAIRS]; /* of its context */
    unsigned count;
    /* Told of the id of a job that is submitted; or NULL. */
    void (*note)(void *request, const void *id);
    void *request;
} spawn_perl_asked;

/* ---- scope.c ---- */

/**
 * Open the scope of a call from Perl: ENTER, and errno (Perl's $!) as it is
 * now comes back when the scope is left, by LEAVE or by an exception.
 */
void spawn_perl_enter(pTHX);

/**
 * No handler runs in this thread until signals are on again. A handler that
 * Perl runs at once (PERL_SIGNALS=unsafe, POSIX::SigAction without safe) can
 * die out of any C code: what the client holds just then, a connection or a
 * lock, would be held for ever. So code that waits or locks does it between
 * these two, for SPAWN_PERL_SLICE_MS or the submit's own time at most; and
 * memory that is not on the save stack is freed before signals are on.
 */
void spawn_perl_signals_off(sigset_t *ret_before);
void spawn_perl_signals_on(const sigset_t *before);

/* ---- endpoint.c: the brokers that this process talks to ---- */

/**
 * httpd's values of the queue of a job.
 * @param request that it is of; NULL: of code without one.
 * @param named the queue that it names; NULL: none.
 * @return its queue; NULL: it may not be used, and text says why.
 */
typedef const char *(*spawn_perl_choose_fn)(const void *request,
                                            const char *named, char *text,
                                            size_t room);

/**
 * Gives the endpoint of the httpd child that runs us.
 * @param server a server_rec, or NULL for the main server.
 * @return 0, or -1 with why filled.
 */
typedef int (*spawn_perl_httpd_fn)(void *server, spawn_endpoint *ret,
                                   spawn_failure *why);

/** Set by Apache2::Spawn::Httpd when it is loaded. Process-wide. NULL: this
 * process is no httpd any more, but a template that was forked from it. */
void spawn_perl_set_httpd(spawn_perl_httpd_fn fn, spawn_perl_choose_fn choose);
/** Does this endpoint belong to the httpd that we run in? Then what it says of
 * queues counts; else NULL. */
spawn_perl_choose_fn spawn_perl_httpd_queues(int index);
/** Is it the broker of the httpd that we run in? */
bool spawn_perl_is_httpds(int index);

/** Index of the client for an endpoint, made on first use, the same for the
 * life of the process; or -1 with why filled. Any thread. */
int spawn_perl_endpoint(const spawn_endpoint *endpoint, spawn_failure *why);

/** The client for requests that must not hold signals off for long: for an
 * index whose timeout is longer than the default, that of the default. NULL:
 * the index's own client does. */
spawn_client *spawn_perl_brief_client(int index);

/** Is this process an httpd? */
bool spawn_perl_in_httpd(void);

/** Has this process a broker of its own, which may be away just now? Not while
 * httpd starts, and not outside httpd without $ENV{SPAWN_SOCKET}. */
bool spawn_perl_has_broker(pTHX);

/** Index for httpd's own endpoint, as a virtual host sees it. Throws. */
int spawn_perl_httpd_endpoint(pTHX_ void *server);

/** Index for the invocant of a class method: a connection, or the class
 * (httpd's own, else $ENV{SPAWN_SOCKET}). Throws. */
int spawn_perl_invocant(pTHX_ SV *self);

/** Index of this process's own broker: httpd's, else $ENV{SPAWN_SOCKET}, else,
 * with any, the only one that it has connected to (with the first of its
 * timeouts). Throws. */
int spawn_perl_own_endpoint(pTHX_ bool any);

/** A connection object for a socket path; options: name and value. Throws. */
SV *spawn_perl_connect(pTHX_ SV *class_name, SV *path, SV **options,
                       SSize_t count);

/** The client at an index, and its submit timeout. NULL: no such index. */
spawn_client *spawn_perl_client(int index, uint32_t *ret_timeout_ms);

/** An interpreter begins (loaded or cloned) and ends. The last one closes the
 * clients: mod_perl unloads this library at each restart. */
void spawn_perl_begin(void);
void spawn_perl_end(void);

/* ---- values.c: a Perl value as bytes ---- */

/** Code that runs while values are read (tied, overloaded, a signal's handler)
 * may let go of them, and Perl's stack owns nothing. So they stay until the
 * statement ends. */
void spawn_perl_hold(pTHX_ SV *sv);
void spawn_perl_hold_all(pTHX_ SV **args, SSize_t count);

/** Bytes of a value; throws when undefined, a plain reference, with wide
 * characters or with a NUL inside (allow_nul: not for that). what names the
 * value in the message. Valid until the scope is left or sv changes. */
const char *spawn_perl_bytes(pTHX_ SV *sv, STRLEN *ret_length, bool allow_nul,
                             const char *what);

/** The same for values that must not be tainted (-T): words of a command, a
 * directory, a function's name. Throws with the words that system uses. */
const char *spawn_perl_word(pTHX_ SV *sv, STRLEN *ret_length, const char *what);

/* ---- options.c: Perl values to a SUBMIT message ---- */

/** A job on its way. On the save stack from spawn_perl_job_new on. */
typedef struct {
    spawn_writer w;
    spawn_id id;
    bool id_is_new; /* it was made for this job */
    unsigned fds_count;
    uint64_t seen; /* a bit for each attribute that was written */
    uint64_t timeout_ms;
    uint64_t grace_ms;
    spawn_perl_choose_fn choose;    /* of httpd, or NULL */
    const void *request;            /* for it, or NULL */
    char queue[SPAWN_NAME_MAX + 2]; /* that it names; "": none */
    uint64_t delay_ms;              /* before it can start */
    unsigned reply;                 /* spawn_reply */
    unsigned want;                  /* SPAWN_WANT_, of a Perl function */
    bool objects;                   /* may be in its arguments and its result */
    bool until_request;             /* it ends with its request: bound.c */
    char *scratch;                  /* name=value is built here */
    size_t scratch_room;
    int fds[SPAWN_JOB_FDS_MAX]; /* descriptors of Perl's handles, not ours */
} spawn_perl_job;

/** A fresh one, freed when the current Perl scope is left. */
spawn_perl_job *spawn_perl_job_new(pTHX);

/**
 * Write the whole message. Throws on any value that is not allowed.
 * @param args as they stand on Perl's stack: argv, or a function and its
 * arguments; then the options.
 * @param filled context of the request; the option's pairs are added and win.
 * @param want the context that a Perl function is called in, when its options
 * do not say.
 */
void spawn_perl_job_fill(pTHX_ spawn_perl_job *job, SV **args, SSize_t count,
                         const spawn_perl_pair *filled, unsigned filled_count,
                         spawn_perl_verb verb, unsigned want);

/** Throws when the job is to end with its request, and cannot. why: the text.
 */
void spawn_perl_not_bound(pTHX_ const spawn_perl_job *job, const char *why);

/* ---- maps.c: options whose value is a hash ---- */

/** The hash of a reference, held. wanted: for the text, when it is none. */
HV *spawn_perl_hash_of(pTHX_ SV *value, const char *name, const char *wanted);
/** Put a field of SPAWN_FORM_MAP. filled: as in spawn_perl_job_fill. */
void spawn_perl_put_map(pTHX_ spawn_perl_job *job, const spawn_field *field,
                        SV *value, const spawn_perl_pair *filled,
                        unsigned count);
/** Put the request's context, then what the caller added to it or overrode
 * (given; NULL: nothing). */
void spawn_perl_put_context(pTHX_ spawn_perl_job *job, HV *given,
                            const spawn_perl_pair *filled, unsigned count);
/** Put the pairs of { resource => value }. */
void spawn_perl_put_limits(pTHX_ spawn_perl_job *job, HV *limits);

/* ---- streams.c ---- */

/** Put a field whose value is a stream: text, a handle, or data. */
void spawn_perl_put_stream(pTHX_ spawn_perl_job *job, const spawn_field *field,
                           SV *value);
/** Put the descriptors of { number => handle }. */
void spawn_perl_put_fds(pTHX_ spawn_perl_job *job, HV *fds);

/* ---- sereal.c: values on their way to another process and back ---- */

/** An interpreter begins, is cloned, ends. */
void spawn_perl_codecs_begin(pTHX);
void spawn_perl_codecs_clone(pTHX);
void spawn_perl_codecs_end(pTHX);

/** Put the arguments of a call. Throws not_sendable with the place of what
 * cannot travel, and too_big. */
void spawn_perl_put_args(pTHX_ spawn_perl_job *job, AV *args);

/** The values of a RESULT, mortal. Throws with the job. */
SV *spawn_perl_decode(pTHX_ const spawn_attr *a, bool objects, SV *job);

/* ---- call.c: the result of a Perl function ---- */

/** The default context of spawn_call: void where nobody takes the job, else
 * list. */
unsigned spawn_perl_want_later(U8 gimme);
/** The default context of call: that of its own caller. */
unsigned spawn_perl_want_now(U8 gimme);

/**
 * The values that it returned, mortal. Throws the function's exception, or why
 * there is no result; m is of a job that is done.
 * @param job the handle.
 */
AV *spawn_perl_returned(pTHX_ const spawn_message *m, bool objects, SV *job);

/** Wait and give the values. options: of result, name and value. */
AV *spawn_perl_job_result(pTHX_ SV *self, SV *seconds, SV **options,
                          SSize_t count);

/** The function's progress, as a new hash; NULL: nothing. */
SV *spawn_perl_progress(pTHX_ const spawn_message *m);

/* ---- parent.c ---- */

/** Outside httpd: the job that this process is, if it is one. The values live
 * until the statement ends. */
void spawn_perl_asked_by_job(pTHX_ spawn_perl_asked *ret);

/* ---- submit.c ---- */

/**
 * All four verbs. args, want: see spawn_perl_job_fill.
 * @param asked NULL: no request.
 * @return a new Job; for run a new Result; for call a new reference to an
 * array of the values. Throws.
 */
SV *spawn_perl_submit(pTHX_ int endpoint, SV **args, SSize_t count,
                      const spawn_perl_asked *asked, spawn_perl_verb verb,
                      unsigned want);

/**
 * The same of a program or a function whose answer is taken later.
 * @return a new reference to an array: the Job, and what awaits the answer
 * (submitted.c), or undef: it is answered. Throws.
 */
SV *spawn_perl_submit_later(pTHX_ int endpoint, SV **args, SSize_t count,
                            spawn_perl_verb verb, unsigned want);

/* ---- submitted.c: Apache2::Spawn::Process::Submitted ---- */

/** A new object for what was sent, which is taken over. */
SV *spawn_perl_submitted(pTHX_ int endpoint, const spawn_id *id,
                         spawn_submitted *sent);
/** False: there is no answer yet. Throws when the job was refused. */
bool spawn_perl_submitted_look(pTHX_ SV *self, bool wait);
/** A descriptor that can be read when an answer comes, for the caller to
 * close; or -1. */
int spawn_perl_submitted_fd(SV *self);
/** For how many seconds it is waited for. */
double spawn_perl_submitted_left(SV *self);
/** It is known to be accepted: nothing is kept for another try. */
void spawn_perl_submitted_known(SV *self);
/** It goes: a refusal that nobody has asked for is warned of. */
void spawn_perl_submitted_end(pTHX_ SV *self);

/* ---- cleanup.c ---- */

/** Keep a checked SUBMIT message (copied) until a request has ended. when: a
 * spawn_cleanup_when of mod_spawn.h. */
typedef void (*spawn_perl_later_fn)(void *request, const void *message,
                                    size_t length, unsigned when);

/**
 * $r->spawn_cleanup. args: as for spawn or spawn_call, and only_if.
 * @return a new Job, which the broker knows of when the request has ended.
 * Throws.
 */
SV *spawn_perl_cleanup(pTHX_ int endpoint, SV **args, SSize_t count,
                       spawn_perl_later_fn later, void *request);

/** The request that this thread serves, and its server; NULL: there is none, or
 * mod_perl does not tell. Called in httpd's children only. */
typedef void *(*spawn_perl_current_fn)(void **ret_server);

/** Set by Apache2::Spawn::Httpd, as spawn_perl_set_httpd. */
void spawn_perl_set_current(spawn_perl_current_fn fn,
                            spawn_perl_later_fn later);

/** The current request; NULL: there is none here. */
void *spawn_perl_current_request(void **ret_server);

/** Apache2::Spawn->cleanup: spawn_perl_cleanup of the current request. */
SV *spawn_perl_cleanup_current(pTHX_ SV *self, SV **args, SSize_t count);

/* ---- bound.c: jobs that end with their request ---- */

/** What a request keeps of such a job. Made here, kept by Apache2::Spawn::Httpd
 * until the request has ended. Holds no Perl data. */
typedef struct spawn_perl_bound spawn_perl_bound;

/** Keep it until the request has ended, then call spawn_perl_bound_over. */
typedef void (*spawn_perl_bind_fn)(void *request, spawn_perl_bound *bound);

/** Set by Apache2::Spawn::Httpd, as spawn_perl_set_httpd. */
void spawn_perl_set_bind(spawn_perl_bind_fn fn);

/** The client that such a job is to be submitted with, which its request keeps.
 * request NULL: the current one. Throws when the job cannot be bound. */
spawn_client *spawn_perl_bind(pTHX_ int endpoint, const spawn_perl_job *job,
                              void *request);

/**
 * The request has ended: the job is ended, and this is freed. Any thread,
 * without an interpreter. In a forked child it does nothing.
 * @param id room for SPAWN_ID_TEXT; filled when this fails.
 * @return 0; -1 with why filled: the broker was replaced since, and the next
 * one has not taken the order within SpawnSubmitTimeout.
 */
int spawn_perl_bound_over(spawn_perl_bound *bound, char *id,
                          spawn_failure *why);

/* ---- handle.c: Apache2::Spawn::Job ---- */

/** The data that resubmit sends again: shared by clones of the object, in
 * several threads, and so must not be changed. */
typedef struct {
    unsigned references;
    uint32_t wait_ms;
    spawn_writer w;
    spawn_kept_fd fds[SPAWN_JOB_FDS_MAX]; /* duplicates, of this process */
    unsigned fds_count;
    pid_t pid;
} spawn_perl_resubmit_data;

/** A new Job. objects: its result may have them. kept, or NULL, is taken
 * over. */
SV *spawn_perl_handle(pTHX_ int endpoint, const spawn_id *id, bool objects,
                      spawn_perl_resubmit_data *kept);
/** Take the message out of a job to keep it; NULL when memory is out. */
spawn_perl_resubmit_data *spawn_perl_keep(spawn_perl_job *job,
                                          uint32_t wait_ms);
/** The id of a Job; throws when self is none. Asks for no endpoint. */
void spawn_perl_id_of(pTHX_ SV *self, spawn_id *ret_id);
/** Endpoint and id of a Job; throws when self is none. For a Job that came from
 * another process it is this process's own broker. */
int spawn_perl_handle_of(pTHX_ SV *self, spawn_id *ret_id);
/** May its result have objects. */
bool spawn_perl_handle_objects(pTHX_ SV *self);
/** Send the kept message again. Throws. */
void spawn_perl_resubmit(pTHX_ SV *self);

/* ---- ask.c: questions about a job ---- */

/** An empty answer, freed when the current Perl scope is left. */
spawn_answer *spawn_perl_answer_new(pTHX);

/** A new Result with the present state. */
SV *spawn_perl_status(pTHX_ SV *self);
/** The pid as a new value, or NULL before it runs. */
SV *spawn_perl_pid(pTHX_ SV *self);
/** A new Result when the job is done within the time, else NULL. seconds
 * NULL or undef: no limit. */
SV *spawn_perl_wait(pTHX_ SV *self, SV *seconds);
/** False when the job is over already. */
bool spawn_perl_kill(pTHX_ SV *self, SV *signal);
/* False: it is not dead. */
bool spawn_perl_retry(pTHX_ SV *self);
bool spawn_perl_start_now(pTHX_ SV *self);
bool spawn_perl_stop(pTHX_ SV *self);
/** The function's progress, as a new hash; NULL: nothing. */
SV *spawn_perl_job_progress(pTHX_ SV *self);
/** An answer with the job when it is done in time, else NULL; freed when the
 * current Perl scope is left. what names the method in messages. Throws. */
spawn_answer *spawn_perl_wait_answer(pTHX_ SV *self, SV *seconds,
                                     const char *what);

/**
 * Wait until a job is done.
 * @param limit_ms how long; -1 no limit.
 * @return 1 with *ret, 0 not done in time, -1 with why filled. Perl's signal
 * handlers run meanwhile and may throw.
 */
int spawn_perl_wait_done(pTHX_ int endpoint, const spawn_id *id,
                         int64_t limit_ms, spawn_answer *ret,
                         spawn_failure *why);

/** Waits until the job runs, or is done. A new Result. Throws. */
SV *spawn_perl_started(pTHX_ SV *self);

/* ---- program_handle.c ---- */

/** Makes a handle that was just opened on a pipe one whose close waits for the
 * job at the other end, and sets $?. False: it is not open. */
bool spawn_perl_program_handle(pTHX_ SV *glob, SV *job, bool writing);
/** Sets $?, and ${^CHILD_STATUS_NATIVE}, which Perl code cannot. */
void spawn_perl_child_status(pTHX_ int status);

/* ---- token.c ---- */

/** Room for a token, with its NUL. */
#define SPAWN_PERL_TOKEN_TEXT 64

/** Makes a token that is good for so long. 0, or -1: this process cannot. */
typedef int (*spawn_perl_token_fn)(const char *id, uint64_t life_ms,
                                   char *text);

/** Set by Apache2::Spawn::Httpd, as spawn_perl_set_httpd. */
void spawn_perl_set_token(spawn_perl_token_fn fn);

/** A new token of a Job. Throws. */
SV *spawn_perl_token(pTHX_ SV *self, SV **options, SSize_t count);

/* ---- result.c ---- */

/** A new Result from a JOB message. */
SV *spawn_perl_result(pTHX_ int endpoint, const spawn_message *m);
/** Push a Result for each job onto rows. Throws. */
void spawn_perl_list(pTHX_ int endpoint, SV **options, SSize_t count, AV *rows);

/* ---- rules.c ---- */

/** Store in a Result what the job brought of rules: priority, unique, after. */
void spawn_perl_put_rules(pTHX_ HV *hv, const spawn_message *m);
/** Put a field that is a list of jobs: Apache2::Spawn::Job objects or ids, one
 * of them or a reference to an array. Throws. */
void spawn_perl_put_ids(pTHX_ spawn_perl_job *job, const spawn_field *field,
                        SV *value);

/* ---- error.c ---- */

/** Throw an Apache2::Spawn::Error. message, handle and exception are taken
 * over; the last two may be NULL. */
void spawn_perl_throw_error(pTHX_ const spawn_failure *why, SV *message,
                            SV *handle, SV *exception)
    __attribute__((cold, noreturn));

/** Throw an Apache2::Spawn::Error. handle: a new Job, taken over, or NULL. */
void spawn_perl_throw(pTHX_ const spawn_failure *why, SV *handle)
    __attribute__((cold, noreturn));
/** Throw with code and step OPTIONS and a printf-style text. */
void spawn_perl_refuse(pTHX_ spawn_error code, const char *fmt, ...)
    __attribute__((cold, noreturn, format(printf, pTHX_2, pTHX_3)));
/** Throw system with ENOMEM. */
void spawn_perl_no_memory(pTHX) __attribute__((cold, noreturn));
/** Throw unknown_option, with a similar name as a hint. next(i) gives the known
 * names, NULL past the last. */
void spawn_perl_unknown_option(pTHX_ const char *name,
                               const char *(*next)(unsigned i))
    __attribute__((cold, noreturn));

#endif
