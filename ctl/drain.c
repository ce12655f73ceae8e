/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl drain: refuses new jobs. Runs in spawnctl.
 */
#include "ctl/ctl.h"

const char ctl_drain_help[] =
    "usage: spawnctl drain [options] queue ...\n"
    "A queue takes no jobs until it is resumed; those that wait start. It "
    "stays so over\n"
    "restarts; 'spawnctl queues' shows it, the error log says who did it.\n"
    "\n"
    "  -u, --undo            jobs are taken again\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

int ctl_drain(spawn_ctl *ctl, int argc, char **argv)
{
    return ctl_queues_change(ctl, argc, argv, SPAWN_QUEUE_DRAIN,
                             SPAWN_QUEUE_UNDRAIN);
}
