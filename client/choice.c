/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which jobs a LIST asks for. Runs in callers, any thread. Must leave out what
 * is not asked for, so that a broker of an older release understands the rest.
 */
#include "client/choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/spawn_field.h"
#include "common/spawn_moment.h"

#define VALUE_MAX 256 /* longer ones are cut when a request is noted */

static const char *const names[SPAWN_BY_CONTEXTS] = {
    [SPAWN_BY_REQUEST] = "request_id",
    [SPAWN_BY_USER] = "user",
    [SPAWN_BY_VHOST] = "vhost"};

/* ---- the message ---- */

static bool given(const char *text)
{
    return text && *text;
}

static void put_context(const spawn_choice *choice, spawn_writer *w)
{
    char text[VALUE_MAX + 32];
    size_t mark = 0;
    unsigned i;

    for (i = 0; i < SPAWN_BY_CONTEXTS; i++) {
        if (!given(choice->context[i]))
            continue;
        if (!mark)
            mark = spawn_open_strv(w, SPAWN_A_CONTEXT);
        (void)snprintf(text, sizeof(text), "%s=%.*s", names[i], VALUE_MAX,
                       choice->context[i]);
        spawn_add_text(w, mark, text, strlen(text));
    }
    if (mark)
        spawn_close(w, mark);
}

static void put_text(spawn_writer *w, uint16_t attr, const char *text)
{
    if (given(text))
        spawn_put_str(w, attr, text);
}

static void put_number(spawn_writer *w, uint16_t attr, uint64_t number)
{
    if (number)
        spawn_put_u64(w, attr, number);
}

void spawn_choice_write(const spawn_choice *choice, spawn_writer *w)
{
    spawn_writer_begin(w, SPAWN_M_LIST, 0);
    put_text(w, SPAWN_A_QUEUE, choice->queue);
    put_number(w, SPAWN_A_STATES, choice->states);
    put_number(w, SPAWN_A_ROWS, choice->rows);
    put_number(w, SPAWN_A_BEFORE, choice->before);
    put_context(choice, w);
    put_number(w, SPAWN_A_ENDED_AS, choice->ended);
    put_text(w, SPAWN_A_WHAT, choice->what);
    put_text(w, SPAWN_A_LABEL, choice->label);
    put_number(w, SPAWN_A_SINCE, choice->since);
    put_number(w, SPAWN_A_UNTIL, choice->until);
    put_number(w, SPAWN_A_ENDED_SINCE, choice->ended_since);
    put_text(w, SPAWN_A_SEARCH, choice->search);
    put_number(w, SPAWN_A_OLDEST_FIRST, choice->oldest_first);
    put_number(w, SPAWN_A_LOOKS, choice->looks);
    spawn_put_u64(w, SPAWN_A_ARGV_MOST,
                  choice->no_argv ? 0 : SPAWN_CHOICE_ARGV);
    (void)spawn_writer_finish(w, 0);
}

/* ---- as people write it ---- */

static uint64_t outcome_bit(const char *word)
{
    unsigned i;

    if (strcmp(word, "failed") == 0)
        return SPAWN_ENDED_FAILED;
    for (i = SPAWN_OUTCOME_EXITED; i <= SPAWN_OUTCOME_OUT_OF_MEMORY; i++) {
        if (strcmp(word, spawn_outcome_name(i)) == 0)
            return UINT64_C(1) << i;
    }
    return 0;
}

int spawn_choice_ended(const char *text, uint64_t *ret)
{
    uint64_t bits = 0, bit;
    char copy[256], *save = NULL, *word;

    if (strlen(text) >= sizeof(copy))
        return -EINVAL;
    (void)strcpy(copy, text);
    for (word = strtok_r(copy, ", ", &save); word;
         word = strtok_r(NULL, ", ", &save)) {
        bit = outcome_bit(word);
        if (!bit)
            return -EINVAL;
        bits |= bit;
    }
    if (!bits)
        return -EINVAL;
    *ret = bits;
    return 0;
}

/* As a browser's form has it: without a zone, it is this machine's. */
static int local_time(const char *text, uint64_t *ret)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M",
                                        "%Y-%m-%dT%H:%M:%S"};
    size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &tm);
        time_t at;

        if (!end || *end)
            continue;
        tm.tm_isdst = -1;
        at = mktime(&tm);
        if (at <= 0)
            return -EINVAL;
        *ret = (uint64_t)at * 1000;
        return 0;
    }
    return -EINVAL;
}

int spawn_choice_time(const char *text, int64_t now, uint64_t *ret)
{
    uint64_t ago;

    if (spawn_looks_like_a_date(text)) {
        if (local_time(text, ret) == 0)
            return 0;
        return spawn_parse_moment(text, ret) ? -EINVAL : 0;
    }
    if (spawn_parse_duration(text, &ago) || (int64_t)ago >= now)
        return -EINVAL;
    *ret = (uint64_t)now - ago;
    return 0;
}
