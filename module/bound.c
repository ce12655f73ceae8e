/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line in the log for a job that may outlive the request that it is bound to.
 * Runs in httpd children, when a request ends. Must not fill the log.
 */
#include "module/bound.h"

#include "module/few.h"

void spawn_bound_untold(server_rec *s, const char *id, const char *why)
{
    static spawn_few few;

    if (spawn_few_lines(&few, s, APLOG_WARNING, "MS0219", "all jobs"))
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     MSNO(0219) "job %s may outlive its request (until): its "
                                "broker was replaced, and the next one was not "
                                "told to end the job: %s",
                     id, why);
}
