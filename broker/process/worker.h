/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file worker.h
 * @brief A worker: a process forked from a template that stays and serves call
 * after call over a link of its own to the broker.
 *
 * For template and spawner it is a Perl job like any other; nothing about it is
 * in the store. Its pool (run/pool.h) decides about it; here are its process
 * and its link.
 */
#ifndef SPAWN_BROKER_PROCESS_WORKER_H
#define SPAWN_BROKER_PROCESS_WORKER_H

#include "common/spawn_packet.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/job/template.h"
#include "broker/process/ticket.h"

typedef enum {
    SPAWN_WORKER_COMING, /* ordered, forked, or running its after_fork hooks */
    SPAWN_WORKER_IDLE,
    SPAWN_WORKER_BUSY,   /* reserved for a job, or running it */
    SPAWN_WORKER_LEAVING /* takes nothing any more; its end will come */
} spawn_worker_state;

/** Is it lent to a caller (run/lease.h)? */
typedef enum {
    SPAWN_LENT_NOT,
    SPAWN_LENT,       /* busy, with no job that we know of */
    SPAWN_LENT_ENDING /* it has been asked for; it may have a job */
} spawn_lent;

struct spawn_worker {
    spawn_worker *next; /* all workers */
    spawn_worker *pool_next;
    spawn_worker *lent_next; /* all that are lent */
    spawn_worker **lent_at;  /* the pointer at it there; NULL: it is not */
    spawn_pool *pool;
    spawn_id id;
    spawn_worker_state state;
    /* that its order is on the way to; else NULL */
    spawn_template_process *ordered_from;
    spawn_id template_id; /* of the process that it is forked from */
    uint32_t rules;       /* spawn_worker_rules when it was started */
    spawn_watch link;
    int board;
    spawn_ticket *ticket;
    spawn_stream *streams[2]; /* only stderr, to the log */
    spawn_job *job;           /* that it is reserved for, or runs */
    spawn_timer deadline;     /* it has to be gone until then */
    pid_t pid;
    int64_t mono_started;
    int64_t boot_started;
    int64_t idle_since;
    uint64_t calls;
    bool lendable;     /* it is of a release that knows leases as we do */
    spawn_lent lent;   /* spawn_worker_set_lent */
    bool lent_counted; /* in its pool's lent */
    int direct;        /* its end of the socket to that caller, or -1 */
    uid_t caller_uid;  /* the caller it is, or was, lent to */
    pid_t caller_pid;
    uint32_t lease;    /* the number of the last lease, */
    bool unfinished;   /* which is over, and on the slate still */
    uint64_t seen;     /* the call that ran when its slate was looked at last */
    int64_t lent_used; /* mono ms, when a call was last seen */
    int pidfd;         /* its parent has gone: signalled by this; else -1 */
    bool found;        /* ready, by a broker that is new: what it did is not
                          known */
    bool retire;       /* leaves when its job is done */
    bool served;       /* it has been ready: its end is no failed start */
    bool unparented; /* its parent is gone: end of file on its link is the only
                        sign of its exit */
    bool expected;   /* its end is expected: no line for the log */
    bool ready;      /* it says so */
    bool killed;     /* and was still there when it was looked at */
    bool babbled;    /* it sent what is not understood, and the log tells so */
    bool only_call;  /* its call is what it was sent last, and was sent once */
    bool unread;     /* it has ended, and has not read what it was sent last */
    bool call_found; /* its call was given by a broker before us, */
    bool sent_again; /* and was sent once more */
    bool unknown;    /* it has, or had, a call that the store has lost */
};

/** The messages and the fate of a worker, for run/pool.c. */
typedef struct {
    /** RETURNED without a call: it is ready, or cannot be, and why. */
    void (*ready)(spawn_worker *w, const spawn_message *m);
    /** The spawner has told its process. */
    void (*known)(spawn_worker *w);
    /** RETURNED of a call. */
    void (*returned)(spawn_worker *w, const spawn_id *id,
                     const spawn_message *m);
    /** SLATE: many calls that came directly have ended. */
    void (*slate)(spawn_worker *w);
    /** GIVEN_BACK: the lease is over. */
    void (*given_back)(spawn_worker *w, const spawn_message *m);
    /** Its link has ended: EXITED follows, unless its parent has gone. */
    void (*silent)(spawn_worker *w);
    /** Its parent has gone, and it lives. */
    void (*unparented)(spawn_worker *w);
    /** It has ended. m: EXITED; NULL: never forked, or nobody can tell how. */
    void (*gone)(spawn_worker *w, const spawn_message *m);
} spawn_worker_events;

/** Once, before the first worker. */
void spawn_workers_open(const spawn_worker_events *to);

/** Its name in the log, into who[SPAWN_WHO]. Returns who. */
char *spawn_worker_who(const spawn_worker *w, char *who);

/** A digest of what its queue gives to a worker that is started now; never 0.
 */
uint32_t spawn_worker_rules(const spawn_pool *pool);
/** Order another worker for a pool, whose template has to take orders. NULL
 * with why filled when that fails. */
spawn_worker *spawn_worker_order(spawn_pool *pool, spawn_failure *why);
/** Free it; it must have no job. */
void spawn_worker_free(spawn_worker *w);

/** All of them, one after another; NULL: the first. */
spawn_worker *spawn_worker_next(const spawn_worker *w);
spawn_worker *spawn_worker_find(const spawn_id *id);
/** Those that are lent, one after another; NULL: the first. */
spawn_worker *spawn_worker_next_lent(const spawn_worker *w);
/** It is lent, or asked for; or it is not lent any more. */
void spawn_worker_set_lent(spawn_worker *w, spawn_lent lent);

/** It leaves: at once when it is idle, else after its call. */
void spawn_worker_dismiss(spawn_worker *w);
/** It has to be gone soon, by itself or by force. */
void spawn_worker_overdue(spawn_worker *w);

/**
 * Send a call: ticket, board, message.
 * @param m the order, taken apart; body holds its arguments.
 * @return 0; -EPIPE: it has gone; another negative errno.
 */
int spawn_worker_send(spawn_worker *w, const spawn_job *job,
                      const spawn_message *m, const spawn_body *body);
/** The same message again, after an adoption; a worker takes a call once. */
int spawn_worker_send_again(spawn_worker *w, const spawn_job *job,
                            const spawn_message *m, const spawn_body *body);

/** It gets no other one, and leaves when it has done what it was sent. */
void spawn_worker_last_call(spawn_worker *w);

/** It has ended, and had not read its call: that has not begun. */
bool spawn_worker_never_began(const spawn_worker *w);
/** It has ended, and nobody knows whether it had read its call: a broker before
 * us gave it to it, or was about to. */
bool spawn_worker_may_have_begun(const spawn_worker *w);

/** Lend it: its end of the caller's socket goes to it, and stays the
 * caller's, too. 0 or a negative errno. */
int spawn_worker_lend(spawn_worker *w, int direct);
/** Ask for it. */
void spawn_worker_take_back(spawn_worker *w);

/** It cannot be killed: do not wait for it. */
void spawn_worker_give_up(spawn_worker *w);

/** Signal its group: through the spawner, or by pidfd. */
void spawn_worker_signal(spawn_worker *w, int signo, unsigned left);

/* ---- what the spawner tells ---- */

/**
 * RUNNING of a worker, when the broker is new. Takes its descriptors.
 * @param pool_of gives the pool of the queue that stands in its ticket.
 * @param ret_useful false: it has to leave.
 * @return NULL: it cannot be followed.
 */
spawn_worker *spawn_worker_adopt(const spawn_id *id, const spawn_message *m,
                                 spawn_packet *p,
                                 spawn_pool *(*pool_of)(const char *queue),
                                 bool *ret_useful);
void spawn_worker_started(spawn_worker *w, const spawn_message *m);
void spawn_worker_exited(spawn_worker *w, const spawn_message *m);
/** Its parent, a template of httpd, has gone. */
void spawn_worker_orphaned(spawn_worker *w, const spawn_message *m);

#endif
