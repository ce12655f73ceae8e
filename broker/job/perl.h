/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file perl.h
 * @brief The data that only a Perl function's job has. process/perl.h works on
 * it, and run/pool.h where a worker serves it.
 */
#ifndef SPAWN_BROKER_JOB_PERL_H
#define SPAWN_BROKER_JOB_PERL_H

#include "common/spawn_board.h"
#include "broker/job/job.h"
#include "broker/job/template.h"

/** The result of a call in a worker, whose board goes on to the next one. */
typedef struct {
    int kind; /* SPAWN_RESULT_, or a negative errno */
    void *data;
    size_t length;
    bool lost; /* only the kind is known: the power was cut */
    bool said;
    spawn_progress progress;
} spawn_returned;

struct spawn_perl {
    spawn_template *template;
    /* that its order is on the way to; else NULL */
    spawn_template_process *ordered_from;
    uint64_t forked_seen; /* template->forked at its last unforked order */
    int64_t since; /* mono ms: it wants the code that a process of its template
                    * has which began since then; 0: any */
    int board;     /* -1: none */
    uint8_t unforked;     /* orders in a row without a fork */
    uint8_t unread;       /* workers that ended without having read it */
    bool named;           /* the template is its own, not its queue's */
    bool pooled;          /* served by its queue's workers */
    bool worker_died;     /* in this attempt, with the call unanswered */
    spawn_worker *worker; /* that is reserved for it, or runs it */
    spawn_returned
        *kept; /* its result, when it has ended in a worker, or returned */
    struct spawn_bell *bell; /* rung when it has returned; or NULL */
    char *function;          /* its name, when it has a bell; heap */
    uint64_t seen;           /* by callers that watch it, */
    uint32_t seen_in;        /* in this look of theirs; 0: in none */
    int64_t mono_us;         /* when a worker was given it; 0: not known */
};

#endif
