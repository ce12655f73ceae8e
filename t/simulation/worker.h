/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker of the world, for the files that play one.
 */
#ifndef SIMULATION_WORKER_H
#define SIMULATION_WORKER_H

#include "common/spawn_board.h"
#include "common/spawn_slate.h"
#include "t/simulation/workers.h"

#define WORKER_KEPT                                                            \
    4 /* board, the broker's end of the link, ticket, stderr                   \
       */

typedef enum {
    NONE, /* forgotten, or it never was */
    COMING,
    SERVES,
    GONE /* its end is told, and not forgotten */
} place;

/* How far a call has come that is its caller's. */
typedef enum {
    OF_BROKER, /* it is none, or there is no call */
    NOTED,     /* the slate says that it runs; it has not begun */
    BEGUN,
    TO_ANSWER /* it has ended */
} direct_call;

typedef struct {
    spawn_id id;
    place place;
    int link;
    int kept[WORKER_KEPT];
    spawn_board *board;
    bool started; /* the broker was told, */
    bool ready;   /* and by itself; both in any order */
    bool told_end;
    unsigned told_in;    /* the turn that the end was told to */
    bool leaves;         /* it ends next */
    uint64_t calls_left; /* 0: any number */
    job *call;
    job *last_call;
    int pending;         /* a signal that it ends by, */
    unsigned pending_by; /* which this broker sent; */
    const job *pending_for;
    int status;
    int64_t began_ms, ended_ms;

    /* while it is lent (lent.c) */
    spawn_slate *slate; /* NULL: it is not */
    uint64_t lease;
    int direct; /* its caller's socket, -1: none */
    direct_call stage;
    uint32_t seq;    /* of that call */
    const job *last; /* that came directly in this lease */
    bool over;       /* the lease ends after the call */
} worker;

unsigned worker_number(const worker *w);
/* It has this call from now on, which is launched. */
void worker_begins(worker *w, job *j, const char *function);
/* No signal for another call may be on its way. */
void worker_check_pending(const worker *w, const job *j);
/* This was the last of its calls. */
bool worker_was_last(worker *w);
void worker_call_ends(worker *w, int status);

/* ---- lent.c ---- */

/* LEND and TAKE_BACK. fd: taken. */
void lent_begins(worker *w, const spawn_message *m, int fd);
void lent_is_wanted(worker *w, const spawn_message *m);
/* A step of a call that came directly, or between two calls. False: there is
 * nothing to do. */
bool lent_goes_on(worker *w, bool hangs);
/* It has ended, and its socket with it. */
void lent_is_gone(worker *w);
/* Is a call of its caller's noted, running, or not answered? */
bool lent_is_busy(const worker *w);
/* Calls that have run are read in time. */
void lent_check(const worker *w);
/* Calls that are read are noted. dies: so are those that the broker has read
 * and not stored yet. */
void lent_note_read(const worker *w, bool dies);

#endif
