/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl logs: what a job has printed, of its stdout and stderr that are
 * captured; with --follow also what it still prints, until it has ended. Runs
 * in spawnctl. Must print each byte once, also when the job is tried again.
 *
 * The broker is asked for what comes behind the bytes that are printed
 * already, and then waits a moment for the job's end with us.
 */
#include <string.h>

#include "common/spawn_escape.h"
#include "ctl/ctl.h"

#define LOOK_MS 250 /* so often, while it runs */

const char ctl_logs_help[] =
    "usage: spawnctl logs [options] id\n"
    "Print what a job has printed: its captured stdout on stdout, its "
    "captured\n"
    "stderr on stderr, of all attempts. An id may be cut to 8 or more "
    "characters\n"
    "of its beginning or its end.\n"
    "\n"
    "  -f, --follow          go on until the job has ended, and exit as it "
    "did\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, -h, --help, -V, --version\n"
    "\n"
    "What a job writes to the error log ('log') is there: grep for its id. Its "
    "last lines\n"
    "are printed on stderr, if nothing is captured.\n"
    "Exit code: 0; 1 no such job; 125 spawnctl or the broker failed; with\n"
    "--follow as of 'spawnctl wait'.\n";

static const struct option options[] = {
    {"follow", no_argument, NULL, 'f'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

/* How far it is printed. */
typedef struct {
    uint64_t attempt; /* 0: none yet */
    uint64_t at[2];   /* bytes of its stdout and stderr */
    bool captured;
} place;

static const struct {
    uint8_t attr;
    const char *name;
} streams[2] = {{SPAWN_A_OUT, "stdout"}, {SPAWN_A_ERR, "stderr"}};

static FILE *stream_of(unsigned which)
{
    return which ? stderr : stdout;
}

/* ---- printing ---- */

/* All of an attempt that has ended, behind what is printed. Of a long one the
 * history has the beginning and the end. */
static void print_rest(place *p, const spawn_message *m, unsigned which)
{
    const spawn_attr *a = &m->attr[streams[which].attr];
    uint64_t cut = spawn_cut_of(m, which), at = p->at[which];
    uint64_t head =
        cut && a->length > SPAWN_KEPT_HEAD ? SPAWN_KEPT_HEAD : a->length;

    if (!spawn_has(m, streams[which].attr))
        return;
    p->captured = true;
    if (at < head) {
        ctl_print_output(stream_of(which), a->data + at, (size_t)(head - at));
        at = head;
    }
    if (at < head + cut) {
        (void)fflush(stdout);
        (void)fprintf(stderr,
                      "spawnctl: %llu bytes of the job's %s are not kept any "
                      "more\n",
                      (unsigned long long)(head + cut - at),
                      streams[which].name);
        at = head + cut;
    }
    if (at < a->length + cut)
        ctl_print_output(stream_of(which), a->data + (at - cut),
                         (size_t)(a->length + cut - at));
    p->at[which] = a->length + cut;
}

/* Print the bytes behind it. A character whose end has not come yet is left for
 * the next time. True: there is more. */
static bool print_more(place *p, const spawn_message *m, unsigned which)
{
    const spawn_attr *a = &m->attr[streams[which].attr];
    size_t n;

    if (!spawn_has(m, streams[which].attr))
        return false;
    p->captured = true;
    n = spawn_escape_whole((const char *)a->data, a->length);
    ctl_print_output(stream_of(which), a->data, n);
    p->at[which] += n;
    return a->length == SPAWN_SO_FAR_MAX;
}

static void go_to(place *p, uint64_t attempt)
{
    p->attempt = attempt;
    p->at[0] = p->at[1] = 0;
}

static void print_attempt(void *arg, const spawn_message *m)
{
    uint64_t attempt = spawn_u64_or(m, SPAWN_A_ATTEMPT, 0);
    place *p = arg;

    if (attempt < p->attempt)
        return;
    if (attempt > p->attempt)
        go_to(p, attempt);
    print_rest(p, m, 0);
    (void)fflush(stdout);
    print_rest(p, m, 1);
    go_to(p, attempt + 1);
}

/* ---- asking ---- */

static int ask(const spawn_ctl *ctl, const spawn_id *id, const place *p,
               bool with_output, spawn_answer *ret)
{
    spawn_failure why;
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_GET, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, with_output);
    spawn_put_u64v(&w, SPAWN_A_OUTPUT_FROM, p->at, 2);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(ctl->client, &w, 0, ret, &why) == 0)
        return 0;
    (void)ctl_fail(&why);
    return why.code == SPAWN_E_NO_SUCH_JOB ? CTL_NO : CTL_TROUBLE;
}

/* A moment, or until the job has ended. */
static int wait_for_more(const spawn_ctl *ctl, const spawn_id *id)
{
    spawn_answer answer;
    spawn_failure why;
    uint8_t room[128];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_WAIT, 0);
    spawn_put_id(&w, SPAWN_A_ID, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, LOOK_MS);
    (void)spawn_writer_finish(&w, 0);
    if (spawn_client_ask(ctl->client, &w, LOOK_MS, &answer, &why) == 0) {
        spawn_answer_free(&answer);
        return 0;
    }
    return why.code == SPAWN_E_TIMED_OUT ? 0 : ctl_fail(&why);
}

/* ---- the verb ---- */

typedef enum {
    LOOK_AGAIN,  /* at once */
    LOOK_AT_ALL, /* at once, with the output of what has ended */
    LOOK_LATER,
    ENDED
} next;

static next print(place *p, const spawn_message *m, bool whole)
{
    unsigned state = (unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0);
    uint64_t attempt = spawn_u64_or(m, SPAWN_A_ATTEMPT, 1);
    bool other, more;

    if (!whole && (state == SPAWN_STATE_DONE || attempt != p->attempt))
        return LOOK_AT_ALL;
    if (whole)
        spawn_attempts_each(m, print_attempt, p);
    other = attempt != p->attempt && (p->at[0] || p->at[1]);
    if (attempt != p->attempt)
        go_to(p, attempt);
    if (state == SPAWN_STATE_DONE) {
        print_rest(p, m, 0);
        (void)fflush(stdout);
        print_rest(p, m, 1);
        return ENDED;
    }
    if (state != SPAWN_STATE_RUNNING)
        return LOOK_LATER;
    if (other)
        return LOOK_AGAIN; /* it was asked for behind another one's bytes */
    more = print_more(p, m, 0);
    (void)fflush(stdout);
    more |= print_more(p, m, 1);
    return more ? LOOK_AGAIN : LOOK_LATER;
}

static void tell_not_captured(const place *p, const spawn_message *m)
{
    if (p->captured || !spawn_has(m, SPAWN_A_STARTED_AT)
        || spawn_u64_or(m, SPAWN_A_OUT_LOST, 0) == SPAWN_LOST_ALL
        || spawn_u64_or(m, SPAWN_A_ERR_LOST, 0) == SPAWN_LOST_ALL)
        return;
    (void)fprintf(
        stderr,
        "spawnctl: nothing that this job prints is captured\n"
        "  what it writes to the error log stands there with its id%s; "
        "--stdout capture of 'spawnctl run' captures\n",
        spawn_has(m, SPAWN_A_LOG_TAIL) ? ", its last lines below" : "");
    if (spawn_has(m, SPAWN_A_LOG_TAIL))
        ctl_print_output(stderr, m->attr[SPAWN_A_LOG_TAIL].data,
                         m->attr[SPAWN_A_LOG_TAIL].length);
}

static int logs(const spawn_ctl *ctl, const spawn_id *id, bool follow)
{
    next then = LOOK_AT_ALL;
    place p = {0, {0, 0}, false};

    for (;;) {
        bool whole = then == LOOK_AT_ALL;
        spawn_answer answer;
        int code = ask(ctl, id, &p, whole, &answer);

        if (code)
            return follow ? CTL_TROUBLE : code;
        then = print(&p, &answer.message, whole);
        if (then == ENDED || (then == LOOK_LATER && !follow)) {
            tell_not_captured(&p, &answer.message);
            if (follow)
                code = ctl_tell_trouble(&answer.message);
        }
        spawn_answer_free(&answer);
        if (then == ENDED || (then == LOOK_LATER && !follow))
            return code;
        if (ferror(stdout))
            return CTL_TROUBLE; /* main tells why */
        if (then == LOOK_LATER && wait_for_more(ctl, id))
            return CTL_TROUBLE;
    }
}

int ctl_logs(spawn_ctl *ctl, int argc, char **argv)
{
    bool follow = false;
    int option, code;
    spawn_id id;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "f", options))
        != -1) {
        if (option == 'f') {
            follow = true;
            continue;
        }
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (argc - optind != 1)
        return ctl_usage(ctl, optind == argc ? "no id; 'spawnctl ps' lists them"
                                             : "one id at a time");
    if (ctl->json)
        return ctl_usage(ctl, "logs prints what the job printed: 'spawnctl "
                              "show --output --json' is for programs");
    code = ctl_connect(ctl);
    if (code == 0)
        code = ctl_lookup(ctl, argv[optind], &id);
    if (code)
        return follow ? CTL_TROUBLE : code;
    return logs(ctl, &id, follow);
}
