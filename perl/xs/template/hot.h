/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hot.h
 * @brief The pages that each job of a template touches: a fork gives them to
 * the job, so that it need not find them by page faults.
 *
 * Runs in a template that is frozen and has one thread, before it serves, and
 * in its jobs; docs/frozen-templates.md is about it. Knows nothing of Perl.
 */
#ifndef SPAWN_TEMPLATE_HOT_H
#define SPAWN_TEMPLATE_HOT_H

#include <stdbool.h>

/**
 * Find out which pages a job touches, and arrange memory accordingly. A failure
 * leaves memory as it is, at the cost of page faults.
 *
 * @param probe runs a job of nothing in a process that is forked from this one,
 * which calls spawn_hot_note as its last, and returns when that process has
 * ended. false: it has not.
 */
void spawn_hot_keep(bool (*probe)(void *arg), void *arg);

/** After that, when the template has done what it does once: what it has
 * touched meanwhile is not given to jobs. */
void spawn_hot_tidy(void);

/** In the job of a probe: these are the pages. */
void spawn_hot_note(void);

/** In a job, before anything: copy all pages that jobs write, which is cheaper
 * than one fault for each. false: they are not known. */
bool spawn_hot_copy(void);

#endif
