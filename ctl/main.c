/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl: start, list, watch and stop jobs from a shell. Runs as the account
 * that calls it, holds no privilege, and must never become a parent of a job:
 * it only talks to the broker, or becomes perl. spawnctl.1 is its manual.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_release.h"
#include "ctl/ctl.h"

#define DEFAULT_TIMEOUT_MS 5000
#define VERBS                                                                  \
    "run, ps, show, wait, logs, kill, retry, start, templates, cron, "         \
    "queues, pause, resume, drain, scale, metrics, top, check-code"

static const char main_help[] =
    "usage: spawnctl [options] verb [options] ...\n"
    "Start, list, watch and stop jobs of an httpd with mod_spawn.\n"
    "\n"
    "  run [options] [--] program [argument ...]   start a program\n"
    "  ps [options]                                list jobs\n"
    "  show [options] id ...                       all about a job\n"
    "  wait [options] id                           until it starts or ends\n"
    "  logs [options] id                           what it has printed\n"
    "  kill [options] id ...                       send a signal, or cancel\n"
    "  retry [options] id ...                      try dead jobs again\n"
    "  start [options] id ...                      start delayed jobs now\n"
    "  templates [options]                         what Perl jobs are forked "
    "from\n"
    "  cron [options] [run|pause|resume name]      recurring jobs\n"
    "  queues [options] [queue]                    rules, what runs and waits\n"
    "  pause, resume [options] queue ...           start no jobs; start them\n"
    "  drain [options] queue ...                   take no jobs\n"
    "  scale [options] queue number                so many jobs at once\n"
    "  metrics [options]                           numbers for Prometheus\n"
    "  top [options]                               queues, shown again and "
    "again\n"
    "  check-code [options] path ...               what Perl code runs by "
    "itself\n"
    "\n"
    "  -s, --socket PATH    httpd's SpawnSocket (default: $SPAWN_SOCKET, else\n"
    "                       " SPAWNCTL_SOCKET ")\n"
    "      --standalone DIR start what serves it, without httpd; before the\n"
    "                       verb: docs/standalone.md\n"
    "      --timeout TIME   longest time for an answer of the broker\n"
    "                       (default: 5 s); before the verb\n"
    "      --json           print JSON instead of text\n"
    "  -h, --help           this text; after a verb: its options\n"
    "  -V, --version        print the release\n";

static const struct {
    const char *name;
    int (*run)(spawn_ctl *ctl, int argc, char **argv);
    const char *help;
} verbs[] = {{"run", ctl_run, ctl_run_help},
             {"ps", ctl_ps, ctl_ps_help},
             {"show", ctl_show, ctl_show_help},
             {"wait", ctl_wait, ctl_wait_help},
             {"logs", ctl_logs, ctl_logs_help},
             {"kill", ctl_kill, ctl_kill_help},
             {"retry", ctl_retry, ctl_retry_help},
             {"start", ctl_start, ctl_start_help},
             {"templates", ctl_templates, ctl_templates_help},
             {"cron", ctl_cron, ctl_cron_help},
             {"queues", ctl_queues, ctl_queues_help},
             {"pause", ctl_pause, ctl_pause_help},
             {"resume", ctl_resume, ctl_resume_help},
             {"drain", ctl_drain, ctl_drain_help},
             {"scale", ctl_scale, ctl_scale_help},
             {"metrics", ctl_metrics, ctl_metrics_help},
             {"top", ctl_top, ctl_top_help},
             {"check-code", ctl_check_code, ctl_check_code_help}};

/* A descriptor that we open must not become somebody's stdin, stdout or
 * stderr. */
static int hold_standard_descriptors(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR); /* not O_CLOEXEC: as 0 to 2 are */
    } while (fd >= 0 && fd <= 2);
    if (fd < 0)
        return -1;
    return close(fd);
}

static int run_verb(spawn_ctl *ctl, int argc, char **argv)
{
    size_t i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        int code;

        if (strcmp(argv[0], verbs[i].name) != 0)
            continue;
        ctl->verb = verbs[i].name;
        ctl->help = verbs[i].help;
        optind = 0; /* begin anew */
        code = verbs[i].run(ctl, argc, argv);
        spawn_client_close(ctl->client);
        return code;
    }
    return ctl_usage(ctl, "'%s' is not a verb; wanted: " VERBS, argv[0]);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"timeout", required_argument, NULL, 'T'},
        {"standalone", required_argument, NULL, 'A'},
        CTL_LONG_OPTIONS};
    spawn_ctl ctl = {NULL, main_help, NULL, DEFAULT_TIMEOUT_MS, false, NULL};
    int option, code;

    if (hold_standard_descriptors())
        return CTL_TROUBLE;
    (void)setlocale(LC_CTYPE, "");
    ctl.socket = getenv("SPAWN_SOCKET");
    if (!ctl.socket || !*ctl.socket)
        ctl.socket = SPAWNCTL_SOCKET;
    while ((option = ctl_getopt(&ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        code = option == 'T'   ? ctl_option_timeout(&ctl, optarg)
               : option == 'A' ? ctl_standalone(&ctl, optarg)
                               : ctl_option(&ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(&ctl, "no verb; wanted: " VERBS);
    code = run_verb(&ctl, argc - optind, argv + optind);
    if (fflush(stdout) || ferror(stdout)) {
        (void)fprintf(stderr, "spawnctl: stdout: %s\n", strerrordesc_np(errno));
        return CTL_TROUBLE;
    }
    return code;
}
