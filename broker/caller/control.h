/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file control.h
 * @brief Jobs do not change what stays changed.
 */
#ifndef SPAWN_BROKER_CALLER_CONTROL_H
#define SPAWN_BROKER_CALLER_CONTROL_H

#include "broker/caller/connection.h"

/** Is this caller no process of a job, so that it may pause, drain or scale a
 * queue, or pause a recurring job, when it has the right? 0; -1: it is one, why
 * filled. */
int spawn_control_check(const spawn_peer *peer, spawn_failure *why);

#endif
