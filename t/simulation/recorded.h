/* SPDX-License-Identifier: Apache-2.0 */
/* What the store may lack of an end that somebody was told. */
#ifndef SIMULATION_RECORDED_H
#define SIMULATION_RECORDED_H

#include "t/simulation/answers.h"

/* A broker has gone, whose last turn that came to its end was then. */
void recorded_lose_broker(int64_t finished_ms);
/* May the history be without it? */
bool recorded_may_lack(const job *j);
/* Is who waits for it told that it is lost? */
bool recorded_is_lost(const job *j, unsigned outcome);
/* May how it ended be lost, and only that it did be known? */
bool recorded_may_lose_end(const job *j, unsigned outcome);
/* May it be told as it had ended before it was revived? */
bool recorded_as_before_revive(const job *j);
/* It has ended, as its caller knows: may it be launched, when it is sent again?
 */
bool recorded_may_start_again(const job *j);
/* May it be told as it was before its end? */
bool recorded_as_before(const job *j, const request *r, unsigned state);

#endif
