/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file phase.h
 * @brief Where the broker is in its life, as far as jobs and their processes
 * have to know. broker/life.c alone sets it.
 */
#ifndef SPAWN_BROKER_JOB_PHASE_H
#define SPAWN_BROKER_JOB_PHASE_H

#include <stdbool.h>

typedef struct {
    bool recovered; /* the store is open, and what was in it is known */
    bool going;     /* GO has come */
    bool lingering; /* httpd has gone; nothing starts any more */
    bool quitting;
    bool spawner_gone;
} spawn_phase_now;

extern spawn_phase_now spawn_phase;

/** Jobs may start. */
bool spawn_phase_launching(void);

#endif
