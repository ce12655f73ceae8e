/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended: for people, and as our exit code, in the manner of the
 * shell, env(1) and timeout(1). Runs in spawnctl. Prints nothing.
 */
#include <errno.h>
#include <string.h>

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

static void signal_text(const spawn_message *job, char *text, size_t room)
{
    const char *name = sigabbrev_np((int)number(job, SPAWN_A_SIGNAL));
    bool core = number(job, SPAWN_A_CORE) != 0;

    (void)snprintf(text, room, "%u%s%s%s%s", number(job, SPAWN_A_SIGNAL),
                   name || core ? " (" : "", name ? name : "",
                   core ? (name ? ", core" : "core") : "",
                   name || core ? ")" : "");
}

uint64_t ctl_cut(const spawn_message *job, unsigned which)
{
    const spawn_attr *cut = &job->attr[SPAWN_A_CUT];

    return spawn_has(job, SPAWN_A_CUT)
                   && spawn_u64v_count(cut) == SPAWN_CUT_COUNT
               ? spawn_u64v_at(cut, which)
               : 0;
}

const char *ctl_result_kind(const spawn_message *job)
{
    static const char *const names[] = {[SPAWN_RESULT_NONE] = "none",
                                        [SPAWN_RESULT_RETURNED] = "returned",
                                        [SPAWN_RESULT_DIED] = "died"};
    uint64_t kind = spawn_u64_or(job, SPAWN_A_RESULT_KIND, UINT64_MAX);

    if (!spawn_has(job, SPAWN_A_FUNCTION)
        || number(job, SPAWN_A_OUTCOME) == SPAWN_OUTCOME_NONE
        || kind >= sizeof(names) / sizeof(names[0]))
        return NULL;
    return names[kind];
}

void ctl_outcome_brief(const spawn_message *job, char *text, size_t room)
{
    unsigned outcome = number(job, SPAWN_A_OUTCOME);
    const char *name = spawn_outcome_name(outcome);
    const char *signal = sigabbrev_np((int)number(job, SPAWN_A_SIGNAL));
    const char *kind = ctl_result_kind(job);

    if (outcome == SPAWN_OUTCOME_NONE)
        (void)snprintf(text, room, "%s",
                       spawn_state_name(number(job, SPAWN_A_STATE)));
    else if (outcome == SPAWN_OUTCOME_EXITED && kind
             && spawn_u64_or(job, SPAWN_A_RESULT_KIND, 0) != SPAWN_RESULT_NONE)
        (void)snprintf(text, room, "%s", kind);
    else if (outcome == SPAWN_OUTCOME_EXITED)
        (void)snprintf(text, room, "%s %u", name,
                       number(job, SPAWN_A_EXIT_CODE));
    else if (outcome == SPAWN_OUTCOME_SIGNALLED && signal)
        (void)snprintf(text, room, "%s %s", name, signal);
    else if (outcome == SPAWN_OUTCOME_SIGNALLED)
        (void)snprintf(text, room, "%s %u", name, number(job, SPAWN_A_SIGNAL));
    else
        (void)snprintf(text, room, "%s", name);
}

void ctl_outcome_text(const spawn_message *job, char *text, size_t room)
{
    unsigned outcome = number(job, SPAWN_A_OUTCOME);
    const char *name = spawn_outcome_name(outcome);
    char signal[40];

    signal_text(job, signal, sizeof(signal));
    switch (outcome) {
    case SPAWN_OUTCOME_SIGNALLED:
        (void)snprintf(text, room, "%s %s", name, signal);
        return;
    case SPAWN_OUTCOME_TIMED_OUT:
    case SPAWN_OUTCOME_CANCELLED:
        if (spawn_has(job, SPAWN_A_EXIT_CODE))
            (void)snprintf(text, room, "%s, exited %u", name,
                           number(job, SPAWN_A_EXIT_CODE));
        else if (spawn_has(job, SPAWN_A_SIGNAL))
            (void)snprintf(text, room, "%s, signalled %s", name, signal);
        else
            (void)snprintf(text, room, "%s", name);
        return;
    case SPAWN_OUTCOME_START_FAILED:
        (void)snprintf(text, room, "%s: %s", name,
                       spawn_step_name(number(job, SPAWN_A_STEP)));
        return;
    default:
        ctl_outcome_brief(job, text, room);
        return;
    }
}
