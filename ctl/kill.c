/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl kill: ask the broker to signal a job. Runs in spawnctl. Must signal
 * nothing itself: a pid that spawnctl remembered could be somebody else's by
 * now.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/spawn_field.h"
#include "ctl/ctl.h"

const char ctl_kill_help[] =
    "usage: spawnctl kill [options] id ...\n"
    "Send a signal to a job's process group; a queued job is cancelled. An id\n"
    "may be cut to 8 or more characters of its beginning or its end.\n"
    "\n"
    "      --signal SIGNAL   name or number (TERM)\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 1 no such job, or it has ended; 125 spawnctl or the broker\n"
    "failed.\n";

static const struct option options[] = {
    {"signal", required_argument, NULL, 'S'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

static int read_signal(const spawn_ctl *ctl, const char *text, int *ret)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    int64_t number;
    int i;

    if (spawn_parse_integer(text, &number) == 0 && number >= 1
        && number <= SIGRTMAX) {
        *ret = (int)number;
        return -1;
    }
    for (i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcasecmp(known, name) == 0) {
            *ret = i;
            return -1;
        }
    }
    return ctl_usage(ctl,
                     "--signal: '%s' is not a signal; wanted: a name such as "
                     "TERM, or a number from 1 to %d",
                     text, SIGRTMAX);
}

int ctl_signal_job(spawn_ctl *ctl, const spawn_id *id, int signo,
                   spawn_failure *why)
{
    spawn_writer w;
    uint8_t room[128];

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_KILL, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    (void)spawn_writer_finish(&w, 0);
    return spawn_client_ask(ctl->client, &w, 0, NULL, why);
}

static int kill_one(spawn_ctl *ctl, const char *text, int signo)
{
    spawn_failure why;
    char id_text[SPAWN_ID_TEXT];
    spawn_id id;
    int code = ctl_lookup(ctl, text, &id);

    if (code)
        return code;
    if (ctl_signal_job(ctl, &id, signo, &why)) {
        (void)ctl_fail(&why);
        return why.code == SPAWN_E_NO_SUCH_JOB
                       || why.code == SPAWN_E_NOT_RUNNING
                   ? CTL_NO
                   : CTL_TROUBLE;
    }
    if (ctl->json)
        ctl_json_print(json_pack(
            "{s:s, s:i}", "id", spawn_id_format(&id, id_text), "signo", signo));
    return CTL_OK;
}

int ctl_kill(spawn_ctl *ctl, int argc, char **argv)
{
    int signo = SIGTERM;
    int option, code, worst = CTL_OK;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "S:", options))
        != -1) {
        code = option == 'S'   ? read_signal(ctl, optarg, &signo)
               : option == 'T' ? ctl_option_timeout(ctl, optarg)
                               : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(ctl, "no id; 'spawnctl ps' lists them");
    code = ctl_connect(ctl);
    if (code)
        return code;
    for (; optind < argc; optind++) {
        code = kill_one(ctl, argv[optind], signo);
        if (code > worst)
            worst = code;
    }
    return worst;
}
