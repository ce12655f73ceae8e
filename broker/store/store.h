/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file store.h
 * @brief The store: every job that was accepted, and the history.
 *
 * An SQLite database that one broker at a time has open. Jobs are written only
 * at the end of a turn, in one transaction (turn.c); answers are read from it
 * after that. Runs in the broker. Nothing is synced to disk: the store survives
 * crashes of processes; a power loss may cost the last seconds.
 */
#ifndef SPAWN_BROKER_STORE_STORE_H
#define SPAWN_BROKER_STORE_STORE_H

#include "common/spawn_rule.h"
#include "broker/job/changes.h"
#include "broker/job/cron.h"
#include "broker/job/queue.h"
#include "broker/job/grace.h"
#include "broker/job/job.h"
#include "broker/base/moments.h"

/* ---- opening: open.c, restore.c ---- */

/** A store that is not open. It belongs to the caller (broker/main.c), and is
 * freed by free() when it is closed. */
spawn_store *spawn_store_new(void);

/**
 * Open or make jobs.db in a directory, and write to it once.
 * @param directory NULL: the one of the last call.
 * @param why filled on failure with code STORE and a text that names the file
 * and says what to do.
 * @param ret_full set when it failed because the disk is full.
 * @return 0 or -1.
 */
int spawn_store_open(spawn_store *store, const char *directory,
                     spawn_failure *why, bool *ret_full);

/** It is, and its statements can be used. */
bool spawn_store_is_open(const spawn_store *store);

/** Checkpoint and close. Does nothing when it is not open. */
void spawn_store_close(spawn_store *store);

/** Copy the open database back to its place. Between two turns only. False: not
 * now. */
bool spawn_store_restore(spawn_store *store);

/* ---- a transaction: write.c ---- */

/** From now on only write how jobs ended, without output and result: the last
 * attempt on a disk that stays full. */
void spawn_store_ends_only(spawn_store *store, bool only);

/** 0 or -1 each; after a -1 only rollback may follow. spawn_store_error has the
 * reason. */
int spawn_store_begin(spawn_store *store);
int spawn_store_commit(spawn_store *store);
void spawn_store_rollback(spawn_store *store);
const char *spawn_store_error(const spawn_store *store);
/** The same as a number of SQLite's, never 0. */
int spawn_store_error_code(const spawn_store *store);

/** Put a job that is not in the store, in its present state; sets seq. Needs
 * its body. */
int spawn_store_insert(spawn_store *store, spawn_job *job);
/** Store the present state; when it is done, its end and output too. */
int spawn_store_update(spawn_store *store, spawn_job *job);

/* ---- reading: read.c ---- */

typedef struct {
    spawn_id id;
    int64_t seq;
    spawn_state state;
    uint64_t digest;
    unsigned attempt;
} spawn_known;

/** 1 found, 0 not known, -1 the store failed. */
int spawn_store_find(spawn_store *store, const spawn_id *id, spawn_known *ret);

/** The body of a job, as its store has it, malloc'd; or NULL. */
spawn_body *spawn_store_body(const spawn_job *job);

/** The same, and why there is none. 0: it is in *ret; -ENODATA: the store does
 * not have it, or is damaged there; -EIO: it cannot be read now. */
int spawn_store_read_body(const spawn_job *job, spawn_body **ret);

/** A job's name in the log, with its request, into name[SPAWN_LOGS_NAME].
 * Returns name. */
const char *spawn_store_name(const spawn_job *job, char *name);

/** Which rows of a list: those behind `before`, one of the states, the queue
 * unless it is "", and so on, and what may be seen. */
typedef struct {
    char queue[SPAWN_NAME_MAX + 1];
    uint64_t states;     /* bits 1 << state as it is told; 0: all */
    uint64_t ended;      /* ENDED_AS; 0: all, also those that have not */
    int64_t since;       /* submitted then or later, wall ms; 0: ever */
    int64_t until;       /* and before that; 0: ever */
    int64_t ended_since; /* ended then or later; 0: ever, or not yet */
    /* pairs that the job's context has all; data NULL: any context */
    spawn_attr context;
    /* texts that the program or function, the label, anything of the job
     * contains; NULL: any */
    const char *what, *label, *search;
    /* an account that may see jobs of this queue; NULL: all */
    bool (*sees)(const void *who, const char *queue);
    const void *who;
    bool oldest_first;
    bool argv_limited; /* of the arguments so many bytes are told */
    size_t argv_most;
    int64_t before; /* seq; with oldest_first those with a greater one follow */

    /* the store's own: zeros at first */
    int64_t up_to;   /* seq: the last row to be looked at; 0: not known */
    int64_t from;    /* seq: up to this row it is looked now; 0: not known */
    int64_t looks;   /* rows of this look */
    uint64_t looked; /* about so many rows were looked at */
    size_t read;     /* bytes of orders in this look */
    bool stopped;    /* it was enough */
} spawn_list_filter;

#define SPAWN_LIST_LOOKS 2000 /* rows, of which each may be left out */
#define SPAWN_LIST_READS 200  /* the same when the order of each is read */

/**
 * Write a JOB message about a job into w (begun and finished here). from: with
 * the output of one that runs (spawn_answer_so_far), or NULL.
 * @return 1; 0 no such job; -1 the store failed; w->error says that the message
 * became too big.
 */
int spawn_store_answer(spawn_store *store, const spawn_id *id, bool with_output,
                       const uint64_t *from, uint32_t asked, spawn_writer *w);
/** The same for the next job that a filter lets through; its seq becomes the
 * filter's before. 2: so many rows were looked at, and none is let
 * through; the filter goes on behind them. */
int spawn_store_answer_list(spawn_store *store, spawn_list_filter *filter,
                            uint32_t asked, spawn_writer *w);
/** Before the first of them, with since or until: where such jobs can be. */
void spawn_store_list_narrow(spawn_store *store, spawn_list_filter *filter);

/* ---- what was open when the last broker ended: read.c ---- */

typedef struct {
    spawn_id id;
    int64_t seq;
    spawn_state state;
    const char *queue;
    const char *template; /* of a Perl job; "": its queue's; NULL: a program */
    uint64_t digest;
    unsigned fds;
    unsigned cancel;
    int priority;
    const char *unique; /* NULL: it has no key */
    bool has_key;       /* nor waits for it; false: it has given it up */
    spawn_moment unique_until;
    unsigned needs; /* 0: none; else 1 + SPAWN_AFTER_FAILED_ */
    int64_t submitted_at, started_at, boot_started;
    unsigned attempt;
    bool has_begun; /* an attempt has ended since it was taken, or revived */
    int retries;    /* -1: as its order says */
    pid_t pid;
    pid_t caller_pid;
    uid_t caller_uid;
    spawn_id life;
    spawn_moment due, expires;
} spawn_open_row;

/** The columns that are needed to revive a job. */
typedef struct {
    int64_t seq;
    bool dead;
    char queue[SPAWN_NAME_MAX + 1];
    bool is_perl;
    char template[SPAWN_NAME_MAX + 1]; /* "": its queue's */
    uint64_t digest;
    int64_t submitted_at;
    unsigned attempt;
    int priority;
    char unique[SPAWN_UNIQUE_MAX + 1]; /* "": none */
    spawn_moment unique_until;
    uid_t caller_uid;
    pid_t caller_pid;
} spawn_dead_row;

/** 1; 0: there is no job of this id; -1. */
int spawn_store_dead(spawn_store *store, const spawn_id *id,
                     spawn_dead_row *ret);
/** How many jobs are dead, of those whose queue a filter lets through. */
uint64_t spawn_store_count_dead(spawn_store *store,
                                const spawn_list_filter *filter);

/** Call row for each open job of the batch's store, in the order of submission.
 * 0 or -1. */
int spawn_store_open_jobs(spawn_batch *batch,
                          void (*row)(spawn_batch *batch,
                                      const spawn_open_row *r));

/* ---- the order of jobs among others: order.c ---- */

/** How a job ended. */
typedef struct {
    bool done;
    bool good; /* exit code 0, or its function returned */
    bool died; /* its function threw an exception */
    spawn_outcome outcome;
    int exit_code;
    int signo;
} spawn_known_end;

/** 1; 0: there is no such job; -1. */
int spawn_store_outcome(spawn_store *store, const spawn_id *id,
                        spawn_known_end *ret);

/** The jobs that one still comes after. ids: room for SPAWN_AFTER_MAX. 0 or
 * -1. */
int spawn_store_needs(spawn_store *store, int64_t seq, uint8_t *ids,
                      unsigned *ret_count);
/** Write them, of a new job or of one that the store has; in a transaction. */
int spawn_store_put_needs(spawn_store *store, const spawn_job *job);
int spawn_store_update_needs(spawn_store *store, const spawn_job *job);

/** Mark the jobs that this new one replaces, as far as the store has them: a
 * broker that comes anew ends them; in the transaction that takes the new one.
 * 0 or -1. */
int spawn_store_mark_replaced(spawn_store *store, const spawn_job *by);

/** Write that a job, which has ended, has its key until its time is over; in a
 * transaction. */
int spawn_store_hold(spawn_store *store, const spawn_job *job);
/** The same that it has it no longer. */
int spawn_store_hold_over(spawn_store *store, const spawn_job *job);
/** Have all of these have their keys: job/unique.h. 0 or -1. */
int spawn_store_holds(spawn_store *store);

/* ---- processes that were sent TERM: grace.c ---- */

/** Each in a transaction of its own. 0 or -1. */
int spawn_store_grace_note(spawn_store *store, const spawn_grace *g);
int spawn_store_grace_over(spawn_store *store, const spawn_id *id);
/** The same in the one that is open. */
int spawn_store_drop_grace(spawn_store *store, const spawn_id *id);
/** Call row, which must not write, for each that was noted since the machine
 * was started, by id; the others are dropped. 0 or -1. */
int spawn_store_graces(spawn_store *store, void (*row)(const spawn_grace *g));

/* ---- recurring jobs: cron.c ---- */

/** The row of a name: 1, 0 there is none, -1. ret: its name and plan stay as
 * they are. */
int spawn_store_cron_read(spawn_store *store, const char *name,
                          const char *plan, spawn_cron_row *ret,
                          bool *ret_same_plan);
/** 0 or -1. */
int spawn_store_cron_write(spawn_store *store, const spawn_cron_row *row);
/** Drop the rows of all other names. 0 or -1. */
int spawn_store_cron_keep(spawn_store *store, const char *const *names,
                          size_t count);
/** Fill in how the last run has ended, when it has. 0 or -1. */
int spawn_store_cron_end(spawn_store *store, spawn_cron_row *row);

/* ---- jobs of shared queues: share.c ---- */

/** Write how far it has come; in a transaction. 0 or -1. */
int spawn_store_put_share(spawn_store *store, const spawn_job *job);
/** 1; 0: it is a job of this host; -1. */
int spawn_store_share(spawn_store *store, int64_t seq, spawn_share *ret);
/** The engine has the end of a job that was taken; in a transaction. */
int spawn_store_share_told(spawn_store *store, const spawn_id *id);

/** A job that was taken, and has ended, and whose end is not told. */
typedef struct {
    int64_t seq;
    spawn_id id;
    unsigned attempt;
    char host[SPAWN_HOST_MAX + 1];
} spawn_untold;

/** The next one behind this seq: 1, 0 there is none, -1. */
int spawn_store_share_untold(spawn_store *store, int64_t after,
                             spawn_untold *ret);

/* ---- queues that were changed by hand: control.c ---- */

/** Change the queues as it was asked for. 0 or -1. */
int spawn_store_controls(spawn_store *store);
/** Note how a queue is changed, or that it is not any more. 0 or -1. */
int spawn_store_control(spawn_store *store, const char *queue,
                        const spawn_queue_control *control);

/** Has it been found to be damaged since it was opened? Then the next broker
 * that opens it looks at all of it, and this one is to make way. */
bool spawn_store_met_damage(spawn_store *store);

/* ---- what is kept: history.c ---- */

/** Write something that is small and says nothing. 0: the store takes that. */
int spawn_store_probe(spawn_store *store);

/** Boot id that the store was last written under, into text[37] ("": none);
 * then the present one is noted. 0 or -1. */
int spawn_store_boot(spawn_store *store, char *ret_last);

/** Has the store what the ledger said after the machine's start? Until then no
 * durable job has started since. */
bool spawn_store_ledger_known(const spawn_store *store);
/** Was there ever a ledger beside it? */
bool spawn_store_ledger_was(const spawn_store *store);
/** It was read now. Outside of a transaction. 0 or -1. */
int spawn_store_note_ledger(spawn_store *store);

/** Note that the clock was set, if it was: after a reboot moments are reckoned
 * by it. Outside of a transaction. 0 or -1. */
int spawn_store_note_clock(spawn_store *store);

/** May a job of this id, which is not in the store, have been there? Also when
 * the clock was ahead or is set back, ids of the last minute count as new. */
bool spawn_store_forgotten(spawn_store *store, const spawn_id *id);

/** The time of the newest id in the store; the greatest number when it could
 * not be read. */
uint64_t spawn_store_newest(spawn_store *store);

/**
 * Forget some ended jobs that are over the bounds, the first that ended first,
 * in a transaction of its own. Never a job that ended less than two minutes
 * ago, or may have: its end was before this broker's start, less than two
 * minutes ago.
 * @return how many, or -1. When it is the whole batch, call again soon.
 */
#define SPAWN_PRUNE_BATCH 100
int spawn_store_prune(spawn_store *store, uint64_t keep_jobs, int64_t keep_ms);
/** The same for the ended jobs of one queue; UINT64_MAX: as many as there are.
 */
int spawn_store_prune_queue(spawn_store *store, const char *queue,
                            uint64_t keep_jobs, int64_t keep_ms);
/** Is there a queue with a limit of its own? Then it is found fast. */
void spawn_store_by_queue(spawn_store *store, bool on);
/** When the first of those that are kept ended, ms since 1970; 0: there is
 * none.
 */
int64_t spawn_store_oldest_end(spawn_store *store);
/** How a job ended; its text is heap. False: it has not, or is not known.
 * ret_kind: SPAWN_RESULT_ of a function; -1: it is a program. */
bool spawn_store_end_of(spawn_store *store, const spawn_id *id, spawn_end *ret,
                        int *ret_kind, pid_t *ret_pid, int64_t *ret_started,
                        unsigned *ret_attempt);
/** Count one more job that is done. */
void spawn_store_count_done(spawn_store *store);
/** One of them is not, any more. */
void spawn_store_count_revived(spawn_store *store);
/** The place of one more job in the order of ends. */
int64_t spawn_store_next_end(spawn_store *store);
/** Note which jobs have ended by now (spawn_store_prune does). */
void spawn_store_note(spawn_store *store);

/** Forget ended jobs although no bound demands it: the oldest that may go.
 * Returns how many, or -1. */
int spawn_store_forget_some(spawn_store *store);

/* ---- bytes: room.c ---- */

/**
 * Take the middle out of an output that is longer than SPAWN_KEPT_HEAD and
 * SPAWN_KEPT_TAIL.
 * @param room of these two sizes: where the rest is, when anything was taken.
 * @return how many bytes were.
 */
size_t spawn_store_cut(const void **data, size_t *length, uint8_t *room);

/** The caller of a run has the output, so many bytes: it is cut in a moment (a
 * few hundred in a turn; more stay whole). The job must be in the store. */
void spawn_store_delivered(spawn_store *store, const spawn_id *id,
                           size_t bytes);

/** Count bytes of output that were written; are there so many that a look at
 * the limit is due? */
void spawn_store_wrote(spawn_store *store, size_t bytes);
bool spawn_store_wrote_much(const spawn_store *store);
/** A transaction begins; has it as many bytes of output as the disk can
 * take? */
void spawn_store_spend(spawn_store *store);
/** It is rolled back. */
void spawn_store_spent_nothing(spawn_store *store);
bool spawn_store_spent_enough(const spawn_store *store);

/**
 * One step towards the limit in bytes: outputs of ended jobs first, then the
 * jobs. Open jobs do not count. In transactions of its own.
 * @return 0: nothing is left to do; more: call again soon; -1.
 */
int spawn_store_shrink(spawn_store *store, uint64_t limit);

/** Has the last call failed because the disk is full? Ask at once. */
bool spawn_store_full(const spawn_store *store);

/** Make room on a full disk, as far as the history can; to be called outside of
 * a transaction. False: there was nothing to give up. */
bool spawn_store_make_room(spawn_store *store);

/** Give up the reserve. False: there was none. */
bool spawn_store_release_reserve(const spawn_store *store);

#endif
