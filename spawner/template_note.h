/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_note.h
 * @brief The note on a template beside its entry in the table.
 *
 * Runs in the spawner only. One small piece of heap for each template.
 */
#ifndef SPAWNER_TEMPLATE_NOTE_H
#define SPAWNER_TEMPLATE_NOTE_H

#include "common/spawn_child.h"
#include "common/spawn_packet.h"
#include "spawner/table.h"

/** A template's claim about a process whose account is not shown. */
typedef struct {
    spawn_id job;
    pid_t pid;
    bool spare;
} template_claim;

typedef struct template_note {
    struct template_note *next;
    uint32_t index; /* in the table */
    int pidfd;      /* of one that is no child of ours; -1: none */
    uid_t uid;      /* its account at its start, which its jobs have */
    gid_t gid;
    uint64_t groups;      /* a sum of its supplementary groups; 0: not known */
    bool dismissed;       /* it takes no more orders */
    bool dismissal_waits; /* for room in its link */
    bool signals_wait;    /* for its jobs, for room too */
    bool last_word;       /* httpd's, and none of its name came after it */
    bool forgotten;       /* by this broker; the next one is told */
    /* Before it is ready, mono ms; 0: not yet. */
    int64_t looked_at;
    int64_t moved_at; /* it had used CPU time since the look before */
    int64_t cpu_ms;   /* so much */
    unsigned claims_count;
    template_claim
        claims[SPAWN_SPARES_MAX]; /* a new one in an old one's place */
    char *text;                   /* of PRELOADED; heap, or NULL */
    char name[];
} template_note;

/** A new one, for a template that has none; NULL: no memory. Its account is
 * that of jobs whose queue has none of its own. */
template_note *template_note_make(const job *template, const char *name);
/** It has this account. */
void template_note_account(template_note *n, const spawn_identity *as);
/** Does it have the supplementary groups of this account? As far as is known.
 */
bool template_note_has_groups(const template_note *n, const spawn_identity *as);
/** NULL: none. */
template_note *template_note_of(const job *template);
/** All of them, one after another; NULL: the first. */
template_note *template_note_next(const template_note *n);
/** template_trust.c: may this process be a job of the template? p: the packet
 * that says so. 0, or -ECHILD: it is no child of ours; -EPERM: it cannot be; or
 * -EACCES: its account is not shown. */
int template_may_have(const job *template, pid_t pid, const spawn_packet *p);
/** template_send.c: send it what has waited, as far as its link takes it. */
void template_tell_waiting(const job *template, template_note *n);
/** Keep the text that it said of its preloading. */
void template_note_text(const job *template, const char *text);

/* template_word.c */

/** It has ended, and its broker has forgotten it. Is it to be told to the next
 * broker all the same? */
bool template_word_kept(const job *template);
/** A broker that comes anew was told that it is there: tell what it said, too.
 */
void template_word_again(job *template);
/** httpd tells of another one of this name, or (NULL) of new ones. */
void template_words_drop(const char *name);

#endif
