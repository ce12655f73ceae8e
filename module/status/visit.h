/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file visit.h
 * @brief One question of a visitor about his job: what visitor.c knows of it,
 * and what is done with that.
 *
 * Runs in httpd children, in the thread of the request.
 */
#ifndef SPAWN_STATUS_VISIT_H
#define SPAWN_STATUS_VISIT_H

#include "module/status/page.h"

typedef struct spawn_visit spawn_visit;
struct spawn_visit {
    spawn_page page;
    spawn_id id;
    spawn_answer job;  /* as it was told last */
    uint64_t seen;     /* of that (common/spawn_seen.h) */
    int64_t wait_ms;   /* how long this request may wait for a change */
    unsigned watchers; /* not when so many requests wait already */
    /* Called now and then while it waits: false ends that. NULL: nothing. */
    bool (*idle)(spawn_visit *v);
};

static inline bool spawn_visit_over(const spawn_visit *v)
{
    return spawn_u64_or(&v->job.message, SPAWN_A_STATE, 0) == SPAWN_STATE_DONE;
}

/* ---- visit_told.c ---- */

/** The version of what is told. */
#define SPAWN_VISIT_VERSION 1

/** The job as JSON on one line, without what is nobody's but the
 * application's: command line, user, output, the texts of failures. */
void spawn_visit_told(spawn_visit *v);

/** A fault, as JSON: an error code, and a sentence for authors of pages. */
void spawn_visit_fault(spawn_visit *v, const char *code, const char *text);

/** seen as text: 16 digits. */
#define SPAWN_SEEN_TEXT 17
const char *spawn_visit_seen(const spawn_visit *v, char *text);

/* ---- visit_wait.c ---- */

typedef enum {
    SPAWN_VISIT_CHANGED, /* v->job and v->seen are new */
    SPAWN_VISIT_SAME,    /* the time is over */
    SPAWN_VISIT_LEFT,    /* the visitor has gone, or this httpd child goes */
    SPAWN_VISIT_CROWD,   /* as many wait as may */
    SPAWN_VISIT_FAILED   /* the broker does not answer */
} spawn_visit_end;

/** Wait for a change, at most so long. */
spawn_visit_end spawn_visit_wait(spawn_visit *v, int64_t wait_ms);

/* ---- visit_stream.c ---- */

/** Does the visitor want server-sent events? */
bool spawn_visit_wants_stream(const spawn_visit *v);

/** Send them, as long as this request may wait. OK, or a status of HTTP. */
int spawn_visit_stream(spawn_visit *v);

#endif
