/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the error log says of jobs: logged.c.
 */
#ifndef SIMULATION_LOGGED_H
#define SIMULATION_LOGGED_H

void logged_reset(void);
/* A line, from its number on. */
void logged_line(const char *text);
/* At the end of a run. */
void logged_check(void);

#endif
