/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dead jobs that somebody revives. What is checked: one of which that was
 * answered runs again, and has attempts again; one of which it was refused does
 * not; and one that is dead can be revived.
 */
#ifndef SIMULATION_REVIVED_H
#define SIMULATION_REVIVED_H

#include "t/simulation/answers.h"

/* May somebody want that of this job? */
bool revived_may_be(const job *j);
/* It is on its way. */
void revived_asked(job *j);
/* The answer. */
void revived_judge(const request *r, unsigned type, unsigned code);
/* Has it ended anew, when it ends so? */
void revived_ends(job *j, unsigned outcome);
/* It will not be answered, and may be done. */
void revived_lost(job *j);

#endif
