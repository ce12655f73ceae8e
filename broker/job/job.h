/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job.h
 * @brief A job in the broker's memory: those that are open, and those that have
 * ended but are not yet in the store.
 *
 * Kept small: what is only needed to start a job stays in the store until then.
 * All other files of the broker work on this struct; the fields say which file
 * may change them.
 */
#ifndef SPAWN_BROKER_JOB_JOB_H
#define SPAWN_BROKER_JOB_JOB_H

#include <sys/types.h>

#include "common/spawn_proto.h"
#include "broker/base/timer.h"

typedef struct spawn_job spawn_job;
typedef struct spawn_queue spawn_queue;
typedef struct spawn_pool spawn_pool;
typedef struct spawn_worker spawn_worker;
typedef struct spawn_waiter spawn_waiter;
typedef struct spawn_stream spawn_stream;
typedef struct spawn_orphan spawn_orphan;
typedef struct spawn_perl spawn_perl;
typedef struct spawn_rules spawn_rules; /* rules.h */
typedef struct spawn_claim spawn_claim; /* unique.h */
typedef struct spawn_needs spawn_needs; /* needs.h */
typedef struct spawn_share spawn_share; /* share.h */
typedef struct spawn_batch spawn_batch; /* changes.h */
typedef struct spawn_store spawn_store; /* store/store.h */

/** An order's bytes: attributes as they came; data for stdin and arguments of
 * a Perl function apart. One piece of malloc. */
typedef struct {
    size_t length;
    size_t input_length;
    size_t args_length;
    uint8_t *input; /* behind data; NULL: none */
    uint8_t *args;  /* behind input; NULL: none */
    uint8_t data[];
} spawn_body;

/** Descriptors that came with a job. */
typedef struct {
    unsigned count;
    int fds[];
} spawn_held;

/** How a job ended. */
typedef struct {
    spawn_outcome outcome;
    int exit_code;
    int signo;
    bool core;
    spawn_step step;
    int error;
    int64_t ended_at;   /* wall, ms */
    int64_t elapsed_us; /* -1: not known */
    uint32_t rusage_count;
    uint64_t rusage[SPAWN_RU_ALL];
    char *text; /* heap; NULL: none */
} spawn_end;

/** When a job is written to the store next: not at all while nothing changes;
 * a moment later, with others; at the end of this turn. */
enum {
    SPAWN_DUE_NOT,
    SPAWN_DUE_SOON,
    SPAWN_DUE_THIS_TURN
};

/** How a durable job stands in the ledger: run/durable.c. */
enum {
    SPAWN_IN_LEDGER_NOT,      /* it is not durable */
    SPAWN_IN_LEDGER_ASKED,    /* it is to be written, and is in no lane */
    SPAWN_IN_LEDGER_WAITS,    /* it waits; or that is being written */
    SPAWN_IN_LEDGER_ORDERING, /* that it starts is being written */
    SPAWN_IN_LEDGER_ORDERED,  /* that is on the disk: it may start */
    SPAWN_IN_LEDGER_ENDED,    /* how it ended was sent there */
    SPAWN_IN_LEDGER_ALONE,    /* the same, before the store took that */
    SPAWN_IN_LEDGER_UNREAD    /* it began before the machine's start, says the
                               * store: what the ledger says is unread, and it
                               * is in no lane until then */
};

struct spawn_job {
    spawn_id id;
    int64_t seq;     /* in the store; 0: not there yet */
    uint64_t digest; /* of what was submitted */
    spawn_job *hash_next;
    spawn_job *prev, *next; /* in its queue's waiting list */
    spawn_job *due_next, *soon_prev, *soon_next, *news_next; /* changes.c */
    spawn_batch *batch; /* it is stored with this one */
    spawn_queue *queue;
    spawn_body *body; /* until it is stored */
    spawn_held *held;
    spawn_stream *streams[2]; /* stdout, stderr when captured or logged */
    spawn_waiter *waiters;
    unsigned starts_awaited; /* by so many callers */
    spawn_end *end;          /* set when state is done */
    spawn_orphan *orphan;
    spawn_perl *perl;   /* NULL: a program */
    spawn_rules *rules; /* NULL: none */
    spawn_claim *claim; /* of a unique key; NULL: none */
    spawn_needs *needs; /* jobs that it comes after; NULL: none */
    spawn_share *share; /* of a shared queue; NULL: it is a job of this host */
    spawn_timer timer;  /* time-out, then grace */
    uint64_t place;     /* among those that wait: queue.c */
    int64_t timeout_ms;
    int64_t grace_ms;
    int64_t submitted_at;
    int64_t started_at;
    int64_t mono_started;
    int64_t boot_started; /* boot ms; -1: before the machine's start */
    int64_t soon_since;   /* mono ms: is due soon since then; changes.c */
    int64_t term_noted;   /* boot ms of TERM; 0: the store has no grace of it */
    pid_t pid;
    pid_t caller_pid;
    uid_t caller_uid;
    int32_t step_error;   /* of step */
    uint32_t sending;     /* number of its last PUT or REVIVE: durable_ask.h */
    uint32_t waits_since; /* mono ms, its lower bits: queue.h */
    int leader;           /* its pidfd from TERM on, or -1: see orphan.h */
    uint8_t state;        /* spawn_state; state.c alone writes it */
    uint8_t slot;         /* of the inbox, counted from 1; 0: none */
    uint8_t cancel;       /* signal of a kill request; one that stops stays */
    uint8_t fds;          /* how many descriptors it needs */
    uint8_t due;          /* SPAWN_DUE_: its next writing; changes.c */
    uint8_t outputs_lost; /* bit 0 stdout, 1 stderr: with its spawner */
    uint8_t ledger;       /* SPAWN_IN_LEDGER_ */
    uint8_t step;         /* of an orphan: it was not set up, and never runs */
    uint16_t noted;       /* place of its note; 0: none; store/launches.h */
    uint16_t attempt;     /* counted from 1: run/retry.h */
    uint8_t retries;      /* attempts that are left after this one */
    uint8_t blocked;      /* SPAWN_BLOCKED_: bits; queue.c alone writes it */
    int8_t priority;      /* its caller's: the highest goes first */
    uint8_t store_error;  /* SQLite's, of its last writing; 0: none; commit.c */
    bool in_store : 1;
    bool input_stored : 1;     /* the store may have its arguments, too */
    bool launch : 1;           /* it starts, nobody has its order */
    bool in_table : 1;         /* the spawner knows it */
    bool timed_out : 1;        /* its time-out has come */
    bool terminated : 1;       /* TERM was sent, KILL is due at the timer */
    bool rest_lives : 1;       /* its group, in its grace: orphan.h */
    bool spooled : 1;          /* a file in the spool goes when it is stored */
    bool may_run_unstored : 1; /* changes.h */
    bool lent : 1;             /* its slot is no promise: inbox.h */
    bool launched : 1;         /* its slot says so: inbox.h */
    bool news : 1;             /* changes.c */
    bool told : 1;             /* a caller has its end: report.h */
    bool unsent : 1;           /* and an answer with it waits, or was lost */
    bool result_told : 1;      /* a caller has what its function returned */
    bool rest : 1;             /* turn.c */
    bool end_stored : 1;       /* the store has its end, and it goes: turn.c */
    bool store_again : 1;      /* changes.c: it is in the list of these */
    bool judged : 1;           /* its end was: run/retry.h */
    bool again : 1;            /* only this attempt has ended */
    bool revived : 1;          /* it was dead; caller/revive.h */
    bool dead : 1;             /* it ended badly, and is not tried again */
    bool unkillable : 1;       /* its process may live */
    bool delivered : 1;        /* its caller has its output: not kept whole */
    bool ask_again : 1;        /* run/durable.c: the ledger is to have it */
    bool promised : 1;         /* only the ledger has it: it must not go */
    bool forgets_first : 1;    /* it goes: the ledger has to forget it first */
    bool may_have_run : 1;     /* though nothing is known of that: take.c */
    bool unbound : 1;          /* ended with a connection: caller/stop.h */
};

/** Has it ended, and not only an attempt at it? */
static inline bool spawn_job_over(const spawn_job *j)
{
    return j->state == SPAWN_STATE_DONE && !j->again;
}

/** Is this a signal that is sent to end a process? Others tell it something. */
bool spawn_job_stops(int signo);

/** Was the job sent a signal to end, whether it obeys or not? */
static inline bool spawn_job_stopped(const spawn_job *j)
{
    return spawn_job_stops(j->cancel);
}

/** Its attempt as LAUNCH and the spawner tell it (the last byte). */
static inline unsigned spawn_job_attempt_mark(const spawn_job *j)
{
    return j->attempt > 1 ? j->attempt & 0xff : 0;
}

spawn_job *spawn_job_find(const spawn_id *id);

/** A new job in this batch, state none, findable by its id. */
spawn_job *spawn_job_new(spawn_batch *batch, const spawn_id *id);

/** Forget a job. turn_undo.c takes apart before all that others have of it. */
void spawn_job_free(spawn_job *job);

/** How many there are, and all one after another (NULL: the first). The
 * present one may be changed but not freed. */
unsigned spawn_job_count(void);
/** May all of them be walked through for somebody who asks? When there are
 * many, once a second: what the last walk found counts until then. at: of that
 * walk, begins with 0. */
bool spawn_job_walk(int64_t *at);
spawn_job *spawn_job_next(const spawn_job *job);

#endif
