/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl start: jobs that wait for their time wait for it no more. Runs in
 * spawnctl.
 */
#include "ctl/ctl.h"

const char ctl_start_help[] =
    "usage: spawnctl start [options] id ...\n"
    "Start jobs now that wait for their time ('--delay', '--at', the pause\n"
    "before a retry); what else they wait for stays. 'spawnctl ps --state\n"
    "delayed' lists them. An id may be cut to 8 or more characters of its\n"
    "beginning or its end.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 1 no such job, or it does not wait for its time; 125\n"
    "spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};

int ctl_start(spawn_ctl *ctl, int argc, char **argv)
{
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(ctl,
                         "no id; 'spawnctl ps --state delayed' lists them");
    code = ctl_connect(ctl);
    return code ? code
                : ctl_ask_of_each(ctl, SPAWN_M_START_NOW, argc, argv,
                                  SPAWN_E_NOT_DELAYED);
}
