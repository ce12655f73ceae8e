/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_start.h
 * @brief A template's process is ordered, and signalled.
 */
#ifndef SPAWN_BROKER_PROCESS_TEMPLATE_START_H
#define SPAWN_BROKER_PROCESS_TEMPLATE_START_H

#include "broker/job/template.h"

/** Order its start. 0 or a negative errno. */
int spawn_template_process_launch(spawn_template_process *process);
/** Signal its process. */
void spawn_template_process_signal(const spawn_template_process *process,
                                   int signo);

#endif
