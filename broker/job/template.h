/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template.h
 * @brief Templates: what Perl jobs are forked from. Which are configured, and
 * whether they take orders.
 *
 * A template has at most one process that takes orders, at most
 * one that still preloads and will follow it, and any number that leave. The
 * spawner forks and reaps them; the broker decides. Their jobs do not depend on
 * them once they are forked.
 */
#ifndef SPAWN_BROKER_JOB_TEMPLATE_H
#define SPAWN_BROKER_JOB_TEMPLATE_H

#include "common/spawn_packet.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"

typedef struct spawn_template spawn_template;
typedef struct spawn_template_process spawn_template_process;
typedef struct spawn_account spawn_account; /* account.c */

typedef enum {
    SPAWN_TEMPLATE_PROCESS_STARTING, /* preloads */
    SPAWN_TEMPLATE_PROCESS_READY,
    SPAWN_TEMPLATE_PROCESS_LEAVING /* told to go, or found dead; EXITED will
                                      come */
} spawn_template_process_state;

struct spawn_template_process {
    spawn_template_process *next; /* of its template */
    spawn_template *template;
    spawn_id id;
    spawn_template_process_state state;
    bool foreign; /* forked by httpd, not by the spawner */
    bool lost;    /* leaves by itself: its end is news */
    bool full;    /* its link took no more */
    bool killed;  /* and was still there when it was looked at */
    bool gone;    /* has exited; waits for its last job to be told of */
    pid_t pid;
    unsigned flying;  /* orders of which nothing was heard yet */
    uint64_t jobs;    /* forked */
    uint64_t workers; /* of these */
    int64_t mono_started;
    int64_t ready_at;         /* mono ms */
    pid_t undone;             /* left undone: process/deaf.c */
    int64_t undone_since;     /* mono ms */
    spawn_timer deadline;     /* it has to move, or to have gone, until then */
    spawn_timer age;          /* another one takes its place */
    spawn_timer room;         /* try again whether its link takes orders */
    spawn_stream *streams[2]; /* stdout and stderr, to the log */
};

struct spawn_template {
    spawn_template *next;
    char name[SPAWN_NAME_MAX + 1];
    uint8_t *rules; /* TEMPLATE_RULES as it came; NULL: not configured */
    size_t rules_length;
    spawn_account *account; /* of its processes; NULL: httpd's User */
    unsigned kind;          /* SPAWN_TEMPLATE_ */
    uint64_t max_jobs;      /* 0: no limit */
    int64_t max_age;        /* ms, 0: no limit */
    uint64_t spares;        /* at most */
    uint16_t mark;     /* of rules, release, account; in its processes' ids */
    bool fresh;        /* stands in the CONFIGURE that is being applied */
    bool renew;        /* the one that takes orders is to be followed */
    unsigned failures; /* in a row */
    unsigned early; /* httpd's, in a row, that ended before they were ready */
    char *failure;  /* why there is none, while that is so; else NULL */
    char *memory;   /* the last word on its memory; else NULL */
    int64_t tried;  /* mono ms: of its processes that got ready, or failed,
                     * the newest began then */
    bool doubted;   /* its current is old, and nobody says whether another
                     * one follows */
    spawn_timer doubt; /* until then that is waited for */
    uint64_t forked;   /* jobs, of all processes: that something moves */
    uint64_t ended;    /* jobs whose faults are known */
    uint64_t faults;   /* minor ones, of all of those */
    spawn_timer retry;
    spawn_template_process *processes;
    spawn_template_process *current; /* takes orders */
    spawn_template_process *coming;  /* preloads */
};

/* ---- which there are ---- */

/** The template of that name, made when it is not there. Never freed. */
spawn_template *spawn_template_get(const char *name);
/** NULL when it was never heard of. */
spawn_template *spawn_template_find(const char *name);
/** All of them, one after another; NULL: the first. */
spawn_template *spawn_template_next(const spawn_template *t);
static inline bool spawn_template_configured(const spawn_template *t)
{
    return t->rules != NULL;
}
/** May a text name this template? */
typedef bool (*spawn_template_shown)(const void *who, const spawn_template *t);

/** Names of those that are configured and shown, for people; "": none is. */
void spawn_template_names(spawn_template_shown shown, const void *who,
                          char *text, size_t room);

/** New rules: begin, one nest for each template, then spawn_templates_end
 * (process/template_process.h). */
void spawn_templates_begin(void);
void spawn_templates_rule(const spawn_attr *nest);

/* ---- what jobs ask ---- */

/** It takes one more order now. */
bool spawn_template_takes(const spawn_template *t);

/** Has a process of it got ready, or failed, that began at this moment (mono
 * ms) or later? Jobs that want the code of such a one wait until then. */
static inline bool spawn_template_tried(const spawn_template *t, int64_t since)
{
    return t->tried >= since;
}

/** Why jobs of it fail now instead of waiting, or NULL. */
const char *spawn_template_failure(const spawn_template *t);

#endif
