/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl wait: until a job has started, or has ended. Runs in spawnctl. Must
 * leave the job alone when the time is over.
 */
#include <string.h>

#include "common/spawn_field.h"
#include "ctl/ctl.h"

const char ctl_wait_help[] =
    "usage: spawnctl wait [options] id\n"
    "Wait until a job has ended, and exit as it did. An id may be cut to 8 or\n"
    "more characters of its beginning or its end.\n"
    "\n"
    "      --for WHAT        finished (the default) or started\n"
    "      --timeout TIME    longest time to wait (default: 0, no limit)\n"
    "  -o, --output          print what was captured, as run does\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: as of 'spawnctl run'; --for started: 0 when it has started; "
    "124\n"
    "also when --timeout is over; 125 also when there is no such job.\n";

static const struct option options[] = {
    {"for", required_argument, NULL, 'f'},
    {"timeout", required_argument, NULL, 'T'},
    {"output", no_argument, NULL, 'o'},
    CTL_LONG_OPTIONS};

typedef struct {
    bool started;
    bool limited;
    uint64_t ms;
    bool with_output;
} request;

static int read_for(const spawn_ctl *ctl, const char *text, request *r)
{
    r->started = strcmp(text, "started") == 0;
    if (!r->started && strcmp(text, "finished") != 0)
        return ctl_usage(ctl,
                         "--for: '%s' is not allowed; wanted: started or "
                         "finished",
                         text);
    return -1;
}

static int read_timeout(const spawn_ctl *ctl, const char *text, request *r)
{
    if (spawn_parse_duration(text, &r->ms) || r->ms > INT32_MAX)
        return ctl_usage(
            ctl,
            "--timeout: '%s' is not allowed; wanted: a time: a number "
            "and a unit (ms, s, min or m, h, d; s when there is "
            "none), at most 24 days; 0 is none",
            text);
    r->limited = r->ms > 0;
    return -1;
}

static int read_option(spawn_ctl *ctl, int option, request *r)
{
    switch (option) {
    case 'f':
        return read_for(ctl, optarg, r);
    case 'T':
        return read_timeout(ctl, optarg, r);
    case 'o':
        r->with_output = true;
        return -1;
    default:
        return ctl_option(ctl, option);
    }
}

/* Report that the time was over first. */
static int tell_late(const spawn_ctl *ctl, const spawn_message *job)
{
    unsigned state = (unsigned)spawn_u64_or(job, SPAWN_A_STATE, 0);

    if (ctl->json)
        ctl_json_print(ctl_json_job(job));
    (void)fprintf(stderr, "spawnctl: the job is still %s\n",
                  spawn_state_name(state));
    return CTL_TIMED_OUT;
}

static int tell(const spawn_ctl *ctl, const request *r,
                const spawn_message *job)
{
    unsigned state = (unsigned)spawn_u64_or(job, SPAWN_A_STATE, 0);
    unsigned outcome = (unsigned)spawn_u64_or(job, SPAWN_A_OUTCOME, 0);
    bool ran =
        state == SPAWN_STATE_RUNNING || spawn_has(job, SPAWN_A_STARTED_AT)
        || outcome == SPAWN_OUTCOME_EXITED || outcome == SPAWN_OUTCOME_SIGNALLED
        || outcome == SPAWN_OUTCOME_OUT_OF_MEMORY;

    if (state != SPAWN_STATE_DONE && !(r->started && ran))
        return tell_late(ctl, job);
    if (r->started && ran && outcome != SPAWN_OUTCOME_START_FAILED) {
        if (ctl->json)
            ctl_json_print(ctl_json_job(job));
        return CTL_OK;
    }
    return ctl_tell_end(ctl, job, false);
}

static int ask(spawn_ctl *ctl, const request *r, const spawn_id *id)
{
    spawn_answer answer;
    spawn_failure why;
    uint8_t room[128];
    spawn_writer w;
    int code;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WAIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR,
                  r->started ? SPAWN_REPLY_STARTED : SPAWN_REPLY_FINISHED);
    if (r->limited)
        spawn_put_u64(&w, SPAWN_A_WAIT_MS, r->ms);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, r->with_output);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(ctl->client, &w, (uint32_t)r->ms, &answer, &why)) {
        (void)ctl_fail(&why);
        return why.code == SPAWN_E_TIMED_OUT ? CTL_TIMED_OUT : CTL_TROUBLE;
    }
    code = tell(ctl, r, &answer.message);
    spawn_answer_free(&answer);
    return code;
}

int ctl_wait(spawn_ctl *ctl, int argc, char **argv)
{
    request r = {false, false, 0, false};
    spawn_id id;
    int option, code;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "o", options))
        != -1) {
        code = read_option(ctl, option, &r);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return ctl_usage(ctl, optind == argc ? "no id; 'spawnctl ps' lists them"
                                             : "one id at a time");
    code = ctl_connect(ctl);
    if (code == 0)
        code = ctl_lookup(ctl, argv[optind], &id);
    if (code)
        return CTL_TROUBLE;
    return ask(ctl, &r, &id);
}
