/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended, as our exit code: in the manner of the shell, env(1) and
 * timeout(1). Runs in spawnctl. Prints nothing.
 */
#include <errno.h>

#include "ctl/ctl.h"

static unsigned number(const spawn_message *job, unsigned attr)
{
    return (unsigned)spawn_u64_or(job, attr, 0);
}

static int start_failed_code(const spawn_message *job)
{
    if (number(job, SPAWN_A_STEP) != SPAWN_STEP_EXEC
        && number(job, SPAWN_A_STEP) != SPAWN_STEP_INTERPRETER
        && number(job, SPAWN_A_STEP) != SPAWN_STEP_ALLOW)
        return CTL_TROUBLE;
    return number(job, SPAWN_A_ERRNO) == ENOENT ? CTL_NOT_FOUND : CTL_CANNOT;
}

int ctl_exit_code(const spawn_message *job)
{
    unsigned signo = number(job, SPAWN_A_SIGNAL);

    switch (number(job, SPAWN_A_OUTCOME)) {
    case SPAWN_OUTCOME_EXITED:
        return (int)number(job, SPAWN_A_EXIT_CODE) & 0xff;
    case SPAWN_OUTCOME_SIGNALLED:
    case SPAWN_OUTCOME_OUT_OF_MEMORY:
        return (int)(128 + signo) & 0xff;
    case SPAWN_OUTCOME_TIMED_OUT:
        return CTL_TIMED_OUT;
    case SPAWN_OUTCOME_CANCELLED:
        return signo ? (int)(128 + signo) & 0xff : CTL_TROUBLE;
    case SPAWN_OUTCOME_START_FAILED:
        return start_failed_code(job);
    default:
        return CTL_TROUBLE;
    }
}
