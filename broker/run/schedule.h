/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file schedule.h
 * @brief Which jobs start in this turn.
 */
#ifndef SPAWN_BROKER_RUN_SCHEDULE_H
#define SPAWN_BROKER_RUN_SCHEDULE_H

/** Jobs that start now: they are ordered, due in this turn and marked launch.
 * Calls for which the store is not asked are sent to their workers at once.
 * Perl jobs whose template cannot be loaded end. */
void spawn_schedule(void);

#endif
