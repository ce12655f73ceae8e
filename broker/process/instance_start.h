/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file instance_start.h
 * @brief A template's process is ordered, and signalled.
 */
#ifndef SPAWN_BROKER_PROCESS_INSTANCE_START_H
#define SPAWN_BROKER_PROCESS_INSTANCE_START_H

#include "broker/job/template.h"

/** Order the start of an instance. 0 or a negative errno. */
int spawn_instance_launch(spawn_instance *instance);
/** Signal its process. */
void spawn_instance_signal(const spawn_instance *instance, int signo);

#endif
