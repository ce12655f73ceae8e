/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file control.h
 * @brief Who may change what stays changed.
 */
#ifndef SPAWN_BROKER_CALLER_CONTROL_H
#define SPAWN_BROKER_CALLER_CONTROL_H

#include "broker/caller/connection.h"

/** May this caller pause, drain or scale a queue, or pause a recurring job? 0;
 * -1: why says why not. */
int spawn_may_control(const spawn_peer *peer, spawn_failure *why);

#endif
