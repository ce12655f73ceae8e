/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts at a job before the present one, as an answer has them. Runs in
 * spawnctl. Must not believe a record before it is parsed.
 */
#include "ctl/ctl.h"

void ctl_attempts(const spawn_message *job,
                  void (*each)(void *arg, const spawn_message *attempt),
                  void *arg)
{
    const spawn_attr *all = &job->attr[SPAWN_A_ATTEMPTS];
    spawn_message attempt;
    spawn_reader reader;
    spawn_attr one;

    if (!spawn_has(job, SPAWN_A_ATTEMPTS))
        return;
    spawn_reader_init(&reader, all->data, all->length);
    while (spawn_reader_next(&reader, &one) == 1) {
        if (one.id == SPAWN_A_ATTEMPTS && one.kind == SPAWN_KIND_NEST
            && spawn_body_parse(one.data, one.length, SPAWN_BODY_ATTEMPT, 0,
                                &attempt, NULL)
                   == 0)
            each(arg, &attempt);
    }
}
