/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that could go on and do not: patience.c. Called while it is calm.
 */
#ifndef SIMULATION_PATIENCE_H
#define SIMULATION_PATIENCE_H

void patience_reset(void);
/* After each turn. */
void patience_check(void);

#endif
