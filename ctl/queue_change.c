/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The common part of pause, resume, drain and scale. Runs in spawnctl. The
 * broker keeps the change and the account that made it: this only asks.
 */
#include <string.h>

#include "ctl/ctl.h"

/* --undo is first: resume, which has none, begins after it */
const struct option ctl_queue_options[] = {
    {"undo", no_argument, NULL, 'u'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

static void row(void *arg, const spawn_message *m)
{
    const spawn_ctl *ctl = arg;

    if (ctl->json && m->header.type == SPAWN_M_QUEUE_STATE)
        ctl_json_print(ctl_json_queue(m));
}

int ctl_queue_change(spawn_ctl *ctl, const char *name, uint64_t what,
                     const uint64_t *max_jobs)
{
    spawn_failure why;
    spawn_writer w;
    uint8_t room[256];
    int rv;

    if (strlen(name) > SPAWN_NAME_MAX)
        return ctl_usage(ctl, "'%.100s' is not a name of a queue", name);
    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_QUEUES, 0);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, what);
    spawn_put_str(&w, SPAWN_A_QUEUE, name);
    if (max_jobs)
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, *max_jobs);
    (void)spawn_writer_finish(&w, 0);
    rv = spawn_client_rows(ctl->client, &w, row, ctl, &why);
    return rv ? ctl_fail(&why) : CTL_OK;
}

int ctl_queues_change(spawn_ctl *ctl, int argc, char **argv, uint64_t what,
                      uint64_t undo)
{
    bool has_undo = undo != SPAWN_QUEUE_LIST;
    const char *letters = has_undo ? CTL_SHORT_OPTIONS "u" : CTL_SHORT_OPTIONS;
    const struct option *options = ctl_queue_options + !has_undo;
    int option, code, worst = CTL_OK;

    while ((option = ctl_getopt(ctl, argc, argv, letters, options)) != -1) {
        code = option == 'T'   ? ctl_option_timeout(ctl, optarg)
               : option == 'u' ? -1
                               : ctl_option(ctl, option);
        if (option == 'u')
            what = undo;
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(ctl, "no queue; 'spawnctl queues' lists them");
    code = ctl_connect(ctl);
    if (code)
        return code;
    for (; optind < argc; optind++) {
        code = ctl_queue_change(ctl, argv[optind], what, NULL);
        if (code > worst)
            worst = code;
    }
    return worst;
}
