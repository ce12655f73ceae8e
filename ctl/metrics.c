/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl metrics: the broker's numbers in Prometheus's text format. Runs in
 * spawnctl. Must print all of them or nothing: half a page is no page.
 */
#include "common/spawn_os.h"
#include "client/prometheus.h"
#include "ctl/ctl.h"

const char ctl_metrics_help[] =
    "usage: spawnctl metrics [options]\n"
    "The numbers of the broker in Prometheus's text format: jobs by queue and "
    "outcome,\n"
    "what runs and waits, refusals, histograms of waiting and running, the "
    "store's\n"
    "commits, restarts, memory. docs/metrics.md has each name.\n"
    "\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, -h, --help, -V, --version\n"
    "\n"
    "Only queues whose jobs the caller may see are there.\n"
    "Exit code: 0; 125 spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"timeout", required_argument, NULL, 'T'}, CTL_LONG_OPTIONS};

static int print(void *arg, const char *text, size_t length)
{
    (void)arg;
    return fwrite(text, 1, length, stdout) == length ? 0 : -1;
}

int ctl_metrics(spawn_ctl *ctl, int argc, char **argv)
{
    spawn_meters_answer numbers;
    spawn_failure why;
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind < argc)
        return ctl_usage(ctl, "'%s' is too much", argv[optind]);
    if (ctl->json)
        return ctl_usage(ctl, "the numbers have a format of their own, and no "
                              "JSON");
    code = ctl_connect(ctl);
    if (code)
        return code;
    code = CTL_OK;
    if (spawn_client_meters(ctl->client, NULL, &numbers, &why))
        code = ctl_fail(&why);
    else /* main tells what stdout did not take */
        (void)spawn_prometheus_write(&numbers, spawn_wall_ms(), print, NULL);
    spawn_meters_free(&numbers);
    return code;
}
