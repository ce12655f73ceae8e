/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and workers of a broker whose clock the test steps, so that what comes
 * after seconds or minutes comes at once.
 */
#ifndef BROKER_STEPPED_H
#define BROKER_STEPPED_H

#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"

/* Acts that are due by then have been done. */
static inline void time_passes(int seconds)
{
    is_there(); /* lines before it are not taken for lines after it */
    steps[0] += seconds;
    steps[1] += seconds;
    is_there();
}

#endif
