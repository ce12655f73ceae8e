/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before another try. Runs in the broker. Keeps no count
 * itself.
 */
#include "broker/base/backoff.h"

#define LONGEST 60 /* s */

int spawn_backoff_s(unsigned failures)
{
    if (failures == 0)
        return 0;
    return failures < 7 ? 1 << (failures - 1) : LONGEST;
}
