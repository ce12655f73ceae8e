/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl pause: jobs that wait are kept waiting. Runs in spawnctl.
 */
#include "ctl/ctl.h"

const char ctl_pause_help[] =
    "usage: spawnctl pause [options] queue ...\n"
    "A queue starts no jobs until it is resumed; it takes them, and those that "
    "run\n"
    "run on. It stays so over\n"
    "restarts; 'spawnctl queues' shows it, the error log says who did it.\n"
    "\n"
    "  -u, --undo            jobs start again\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

int ctl_pause(spawn_ctl *ctl, int argc, char **argv)
{
    return ctl_queues_change(ctl, argc, argv, SPAWN_QUEUE_PAUSE,
                             SPAWN_QUEUE_UNPAUSE);
}
