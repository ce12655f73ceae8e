/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file grace.h
 * @brief Processes that were sent TERM, and when the rest of their groups gets
 * KILL: all that a later broker needs to go on with it.
 */
#ifndef SPAWN_BROKER_JOB_GRACE_H
#define SPAWN_BROKER_JOB_GRACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/spawn_proto.h"

/** Times as spawn_boot_ms. */
typedef struct {
    spawn_id id;    /* of the job */
    pid_t pid;      /* of the leader, and of its group */
    int64_t noted;  /* then the leader lived */
    int64_t until;  /* then its group gets KILL */
    bool timed_out; /* else it was cancelled */
} spawn_grace;

#endif
