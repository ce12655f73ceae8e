/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file deaf.h
 * @brief Templates that httpd forked and that do not do their work any more:
 * somebody has stopped them, or they hang.
 */
#ifndef SPAWN_BROKER_PROCESS_DEAF_H
#define SPAWN_BROKER_PROCESS_DEAF_H

/** There may be such a template: look at them from now on, each 5 s. */
void spawn_deaf_watch(void);

#endif
