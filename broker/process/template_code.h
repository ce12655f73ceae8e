/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_code.h
 * @brief Whose code the processes of a template have, and how long jobs wait
 * for that of a new configuration.
 *
 * Runs in the broker. A job wants the code of the configuration that its caller
 * has, by the moment of that (mono ms), and waits until a process which began
 * since then is ready, or has failed, or until nobody waits any more: then the
 * process of before has to do, while there is one that serves.
 */
#ifndef BROKER_TEMPLATE_CODE_H
#define BROKER_TEMPLATE_CODE_H

#include "broker/job/template.h"

/** It began before httpd made the configuration, and may have other code. */
bool spawn_template_process_is_old(const spawn_template_process *process);

/** One that began later takes orders: it comes too late. */
bool spawn_template_process_is_late(const spawn_template_process *process);

/** It is ready, or has failed: nobody waits for it any more. */
void spawn_template_decided(const spawn_template_process *process);

/** Another configuration: what was in doubt is not any more. */
void spawn_template_doubt_no_more(spawn_template *t);

/** CONFIGURE has come, and httpd still reads its own code: GO follows, or does
 * not. */
void spawn_template_wait_for_go(spawn_template *t);

/** GO has come. httpd may be about to fork the next one; or a broker before us
 * was told that there is none. */
void spawn_template_doubt(spawn_template *t);

#endif
