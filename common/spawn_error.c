/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for the numbers of spawn_error.h. Runs in every process. Must hold
 * nothing but tables.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/spawn_error.h"

#define SPAWN_X_NAME3(n, NAME, name)       [n] = (name),
#define SPAWN_X_NAME4(n, NAME, name, text) [n] = (name),
#define SPAWN_X_TEXT4(n, NAME, name, text) [n] = (text),

static const char *const error_names[] = {SPAWN_ERROR_LIST(SPAWN_X_NAME4)};
static const char *const error_texts[] = {SPAWN_ERROR_LIST(SPAWN_X_TEXT4)};
static const char *const step_names[] = {SPAWN_STEP_LIST(SPAWN_X_NAME3)};
static const char *const state_names[] = {SPAWN_STATE_LIST(SPAWN_X_NAME3)};
static const char *const process_names[] = {SPAWN_PROCESS_LIST(SPAWN_X_NAME3)};
static const char *const outcome_names[] = {SPAWN_OUTCOME_LIST(SPAWN_X_NAME3)};
static const char *const reply_names[] = {SPAWN_REPLY_LIST(SPAWN_X_NAME3)};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *name_of(const char *const *table, size_t count, unsigned n)
{
    return n < count && table[n] ? table[n] : "unknown";
}

static int number_of(const char *const *table, size_t count, const char *name)
{
    size_t i;

    for (i = 0; i < count; i++) {
        if (table[i] && strcmp(table[i], name) == 0)
            return (int)i;
    }
    return -EINVAL;
}

const char *spawn_error_name(unsigned code)
{
    return name_of(error_names, COUNT(error_names), code);
}

const char *spawn_error_text(unsigned code)
{
    return name_of(error_texts, COUNT(error_texts), code);
}

bool spawn_error_leaves_job(unsigned code)
{
    return code == SPAWN_E_UNCONFIRMED || code == SPAWN_E_START_FAILED
           || code == SPAWN_E_TIMED_OUT;
}

const char *spawn_step_name(unsigned step)
{
    return name_of(step_names, COUNT(step_names), step);
}

const char *spawn_state_name(unsigned state)
{
    return name_of(state_names, COUNT(state_names), state);
}

const char *spawn_process_name(unsigned state)
{
    return name_of(process_names, COUNT(process_names), state);
}

const char *spawn_outcome_name(unsigned outcome)
{
    return name_of(outcome_names, COUNT(outcome_names), outcome);
}

const char *spawn_reply_name(unsigned reply)
{
    return name_of(reply_names, COUNT(reply_names), reply);
}

int spawn_reply_number(const char *name)
{
    return number_of(reply_names, COUNT(reply_names), name);
}

int spawn_state_number(const char *name)
{
    return number_of(state_names, COUNT(state_names), name);
}

void spawn_failure_set(spawn_failure *f, spawn_error code, spawn_step step,
                       int error, const char *fmt, ...)
{
    va_list ap;

    if (!f)
        return;
    f->code = code;
    f->step = step;
    f->error = error;
    va_start(ap, fmt);
    (void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
}
