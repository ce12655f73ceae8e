/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file give_up.h
 * @brief The end of a pair whose store cannot be written, or has gone.
 */
#ifndef SPAWN_BROKER_GIVE_UP_H
#define SPAWN_BROKER_GIVE_UP_H

#include <stdbool.h>

#include "broker/job/job.h"

/** Lines in the log for all jobs that are lost with this broker. */
void spawn_give_up(const spawn_store *store, bool recovered, int after_s);

#endif
