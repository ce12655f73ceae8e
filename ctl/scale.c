/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl scale: another number of jobs of a queue run at once. Runs in
 * spawnctl. SpawnMaxJobs stays in httpd.conf: this is a change until it is
 * undone.
 */
#include "common/spawn_text.h"
#include "ctl/ctl.h"

const char ctl_scale_help[] =
    "usage: spawnctl scale [options] queue number\n"
    "       spawnctl scale [options] --undo queue\n"
    "So many jobs of a queue run at once, in the place of SpawnMaxJobs. It "
    "stays "
    "so\n"
    "over restarts; 'spawnctl queues' shows it, the error log says who did "
    "it.\n"
    "\n"
    "  -u, --undo            as many as SpawnMaxJobs says\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

int ctl_scale(spawn_ctl *ctl, int argc, char **argv)
{
    int option, code;
    bool undo = false;
    int64_t number = 0;
    uint64_t max_jobs;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "u",
                                ctl_queue_options))
           != -1) {
        code = option == 'T'   ? ctl_option_timeout(ctl, optarg)
               : option == 'u' ? -1
                               : ctl_option(ctl, option);
        undo = undo || option == 'u';
        if (code >= 0)
            return code;
    }
    if (argc - optind != (undo ? 1 : 2))
        return ctl_usage(ctl, undo ? "--undo: wanted: one queue"
                                   : "wanted: a queue and a number, or --undo");
    if (!undo && (spawn_parse_integer(argv[optind + 1], &number) || number < 0))
        return ctl_usage(ctl, "'%s' is not a number of jobs", argv[optind + 1]);
    max_jobs = (uint64_t)number;
    code = ctl_connect(ctl);
    return code ? code
                : ctl_queue_change(ctl, argv[optind], SPAWN_QUEUE_SCALE,
                                   undo ? NULL : &max_jobs);
}
