/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SpawnJobWait. A request that waits holds a worker of httpd's, so the waits
 * are short, and few of all that httpd can serve at once. The directive runs in
 * the httpd parent while the configuration is read, the rest in its children.
 */
#include "module/job_wait.h"

#include "ap_mpm.h"

#include "module/handlers.h"

#define LONGEST_MS 600000
#define DEFAULT_MS 20000
#define MOST       4096 /* the broker has room for so many */
#define SHARE      4    /* one in so many workers */

const char *spawn_job_wait_directive(cmd_parms *cmd, void *dir_config,
                                     const char *args)
{
    spawn_job_waits *waits = spawn_job_waits_in(dir_config);
    apr_int64_t longest = 0, most = 0;
    apr_array_header_t *words;
    const char *fault = spawn_words(cmd, args, 1, 2, &words), *time;

    if (fault)
        return fault;
    time = APR_ARRAY_IDX(words, 0, const char *);
    if (strcasecmp(time, "off") != 0)
        fault = spawn_parse_time(cmd->pool, cmd->cmd->name, time, LONGEST_MS,
                                 "10min", ", or 'off'", &longest);
    if (!fault && words->nelts > 1)
        fault = spawn_parse_number(cmd->pool, cmd->cmd->name,
                                   APR_ARRAY_IDX(words, 1, const char *), 1,
                                   MOST, &most);
    waits->longest_ms = longest;
    waits->most = (unsigned)most;
    waits->is_set = true;
    return fault;
}

const spawn_job_waits *spawn_job_waits_of(request_rec *r)
{
    static const spawn_job_waits by_default = {true, DEFAULT_MS, 0};
    const spawn_job_waits *waits = spawn_job_waits_in(
        ap_get_module_config(r->per_dir_config, &spawn_module));

    return waits->is_set ? waits : &by_default;
}

unsigned spawn_job_waits_most(const spawn_job_waits *waits)
{
    int processes = 1, threads = 1;
    unsigned most;

    if (waits->most)
        return waits->most;
    (void)ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &processes);
    (void)ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    most = (unsigned)processes * (unsigned)(threads > 1 ? threads : 1) / SHARE;
    return most ? most : 1;
}
