/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids as people type them. Runs in spawnctl. Must never choose one of several
 * jobs that fit. Jobs that are made in the same millisecond begin alike and end
 * differently, so an end serves as well as a beginning.
 */
#include <string.h>
#include <strings.h>

#include "ctl/ctl.h"

#define SHORTEST   8
#define CANDIDATES 5

typedef struct {
    const char *text;
    size_t length;
    spawn_id found[CANDIDATES + 1];
    unsigned count;
} search;

static bool compare(void *arg, const spawn_message *job)
{
    search *s = arg;
    char text[SPAWN_ID_TEXT];
    spawn_id id;

    spawn_attr_id(&job->attr[SPAWN_A_ID], &id);
    (void)spawn_id_format(&id, text);
    if (strncasecmp(text, s->text, s->length) == 0
        || strcasecmp(text + SPAWN_ID_TEXT - 1 - s->length, s->text) == 0)
        s->found[s->count++] = id;
    return s->count <= CANDIDATES;
}

static int ambiguous(const search *s)
{
    char text[SPAWN_ID_TEXT];
    unsigned i;

    (void)fprintf(stderr, "spawnctl: '%s' may mean more than one job:\n",
                  s->text);
    for (i = 0; i < s->count && i < CANDIDATES; i++)
        (void)fprintf(stderr, "  %s\n", spawn_id_format(&s->found[i], text));
    if (s->count > CANDIDATES)
        (void)fputs("  ...\n", stderr);
    return CTL_TROUBLE;
}

static bool looks_like_an_id(const char *text)
{
    return strspn(text, "0123456789abcdefABCDEF-") == strlen(text);
}

int ctl_lookup(spawn_ctl *ctl, const char *text, spawn_id *ret)
{
    search s = {text, strlen(text), {{{0}}}, 0};
    spawn_failure why;
    uint8_t room[64];
    spawn_writer w;
    int rv;

    if (spawn_id_parse(text, ret) == 0)
        return 0;
    if (!looks_like_an_id(text) || s.length < SHORTEST
        || s.length >= SPAWN_ID_TEXT - 1)
        return ctl_usage(ctl,
                         "'%s' is not an id; wanted: a job's id, or at least "
                         "%d characters of its beginning or its end",
                         text, SHORTEST);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_LIST, 0);
    spawn_put_u64(&w, SPAWN_A_ARGV_MOST, 0);
    (void)spawn_writer_finish(&w, 0);
    rv = spawn_client_list(ctl->client, &w, compare, &s, &why);
    if (rv)
        return ctl_fail(&why);
    if (s.count > 1)
        return ambiguous(&s);
    if (s.count == 0) {
        spawn_failure_set(&why, SPAWN_E_NO_SUCH_JOB, SPAWN_STEP_NONE, 0,
                          "no job's id begins or ends with '%s'", text);
        (void)ctl_fail(&why);
        return CTL_NO;
    }
    *ret = s.found[0];
    return 0;
}

int ctl_get_quietly(spawn_ctl *ctl, const spawn_id *id, bool with_output,
                    spawn_answer *ret, spawn_failure *why)
{
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_GET, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, with_output);
    (void)spawn_writer_finish(&w, 0);
    return spawn_client_ask(ctl->client, &w, 0, ret, why);
}

int ctl_get(spawn_ctl *ctl, const spawn_id *id, bool with_output,
            spawn_answer *ret)
{
    spawn_failure why;

    if (ctl_get_quietly(ctl, id, with_output, ret, &why) == 0)
        return 0;
    (void)ctl_fail(&why);
    return why.code == SPAWN_E_NO_SUCH_JOB ? CTL_NO : CTL_TROUBLE;
}
