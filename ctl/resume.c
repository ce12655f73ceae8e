/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl resume: undoes pause and drain. Runs in spawnctl.
 */
#include "ctl/ctl.h"

const char ctl_resume_help[] =
    "usage: spawnctl resume [options] queue ...\n"
    "A queue that was paused or drained takes and starts jobs again. It stays "
    "so over\n"
    "restarts; 'spawnctl queues' shows it, the error log says who did it.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

int ctl_resume(spawn_ctl *ctl, int argc, char **argv)
{
    return ctl_queues_change(ctl, argc, argv, SPAWN_QUEUE_RESUME,
                             SPAWN_QUEUE_LIST);
}
