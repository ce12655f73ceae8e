/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl.h
 * @brief What a job has more when it is a Perl function: its template, the
 * order that flies to it, and its board.
 */
#ifndef SPAWN_BROKER_PROCESS_PERL_H
#define SPAWN_BROKER_PROCESS_PERL_H

#include "common/spawn_board.h"
#include "broker/job/template.h"

/** What came of a call in a worker, whose board goes on to the next one. */
typedef struct {
    int kind; /* SPAWN_RESULT_, or a negative errno */
    void *data;
    size_t length;
    bool said;
    spawn_progress progress;
} spawn_kept;

struct spawn_worker;

struct spawn_perl {
    spawn_template *template;
    spawn_instance *instance; /* that its order flies to; else NULL */
    uint64_t moved;           /* template->forked at its last vain order */
    int board;                /* -1: none */
    uint8_t vain;             /* orders in a row that nobody was forked for */
    bool named;               /* the template is its own, not its queue's */
    bool pooled;              /* its queue's workers serve it */
    uint8_t retries;          /* how often it may be given to another one */
    uint8_t attempt;          /* counted from 1 */
    struct spawn_worker *worker; /* that it is kept for, or runs in */
    spawn_kept *kept;            /* when it has ended in one, or returned */
    struct spawn_bell *bell;     /* rung when it has returned; or NULL */
    char *function;              /* its name, when it has a bell; heap */
    int64_t mono_us;             /* when it was given to one; 0: not known */
};

/** Make it a Perl job. It is a member of its queue already. named: the
 * template that it named itself, or NULL. */
void spawn_perl_make(spawn_job *job, const char *named);

/** Called when a job is freed. */
void spawn_perl_drop(spawn_job *job);

/** It becomes starting: an order of it flies from now on. */
void spawn_perl_order(spawn_job *job);
/** RUNNING told that its order flies to this instance. */
void spawn_perl_ordered(spawn_job *job, const spawn_id *instance);
/** Its order flies no more. Does nothing for a program. */
void spawn_perl_settled(spawn_job *job, bool forked);

/**
 * EXITED told that no process was forked for its order: back to its place in
 * the queue, to be ordered again.
 * @return NULL; or why it cannot, a static text: it has to end then.
 */
const char *spawn_perl_again(spawn_job *job, int error);

/* ---- its board; nothing is done for a program ---- */

/** A new one. The descriptor, which stays the job's, or a negative errno. */
int spawn_perl_board(spawn_job *job);
/** Go on with the one that the spawner kept; owns fd. */
void spawn_perl_adopt_board(spawn_job *job, int fd);
void spawn_perl_close_board(spawn_job *job);
/** A bell for the job to ring when it has returned: the descriptor, which stays
 * the broker's, or a negative errno. function: for the answer. */
int spawn_perl_bell(spawn_job *job, const char *function);
/** It has returned what a caller can have, whether its process has ended or
 * not. */
bool spawn_perl_has_returned(const spawn_job *job);

/** Tell the job that it is to end. */
void spawn_perl_cancelled(const spawn_job *job);
/** What it said last; false: nothing. */
bool spawn_perl_progress(const spawn_job *job, spawn_progress *ret);

#endif
