/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl show: everything that is known about a job. Runs in spawnctl. Must
 * change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "common/spawn_os.h"
#include "ctl/ctl.h"

const char ctl_show_help[] =
    "usage: spawnctl show [options] id ...\n"
    "Print all that is known about a job. An id may be cut to 8 or more\n"
    "characters of its beginning or its end.\n"
    "\n"
    "  -o, --output          also what was captured of stdout and stderr\n"
    "      --timeout TIME    longest time for an answer of the broker\n"
    "  -s, --socket PATH, --json, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0; 1 no such job; 125 spawnctl or the broker failed.\n";

static const struct option options[] = {
    {"output", no_argument, NULL, 'o'},
    {"timeout", required_argument, NULL, 'T'},
    CTL_LONG_OPTIONS};

static void line(const char *name, const char *text)
{
    (void)printf("  %-10s ", name);
    ctl_print_text(stdout, text, 0);
    (void)putchar('\n');
}

static void line_text(const char *name, const spawn_message *m, unsigned attr)
{
    if (spawn_has(m, attr))
        line(name, spawn_attr_str(&m->attr[attr]));
}

static void line_time(const char *name, const spawn_message *m, unsigned attr)
{
    char text[80];

    if (!spawn_has(m, attr))
        return;
    spawn_time_local(spawn_attr_u64(&m->attr[attr]), text, sizeof(text));
    line(name, text);
}

static void line_due(const spawn_message *m)
{
    char text[128];
    int64_t left;

    if (spawn_u64_or(m, SPAWN_A_STATE, 0) != SPAWN_STATE_DELAYED
        || !spawn_has(m, SPAWN_A_DUE_AT))
        return;
    left = (int64_t)spawn_attr_u64(&m->attr[SPAWN_A_DUE_AT]);
    spawn_time_local((uint64_t)left, text, sizeof(text));
    left -= spawn_wall_ms();
    (void)strcat(text, ", in ");
    spawn_duration_text(left > 0 ? left : 0, text + strlen(text),
                        sizeof(text) - strlen(text));
    line("due", text);
}

static void print_state(const spawn_message *m)
{
    unsigned state = (unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0);
    int error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
    char outcome[128], text[320];

    spawn_outcome_text(m, outcome, sizeof(outcome));
    if (state == SPAWN_STATE_DONE)
        (void)snprintf(text, sizeof(text), "%s: %s%s%s",
                       spawn_has(m, SPAWN_A_DEAD) ? "dead" : "done", outcome,
                       error ? ": " : "", error ? strerrordesc_np(error) : "");
    else
        (void)snprintf(text, sizeof(text), "%s", spawn_state_name(state));
    line("state", text);
    if (!strstr(text, spawn_str_or(m, SPAWN_A_TEXT, "")))
        line_text("reason", m, SPAWN_A_TEXT);
}

static void print_command(const spawn_message *m)
{
    bool program = spawn_has(m, SPAWN_A_ARGV);
    char *command = program || spawn_has(m, SPAWN_A_FUNCTION)
                        ? spawn_command_text(m, SIZE_MAX)
                        : NULL;

    if (command)
        line(program ? "command" : "function", command);
    free(command);
}

static void print_context(const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_CONTEXT];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; spawn_has(m, SPAWN_A_CONTEXT) && i < spawn_strv_count(a); i++) {
        text = spawn_strv_next(a, text);
        line(i ? "" : "context", text);
    }
}

/* One that the kernel tells of the job's cgroup. */
static bool of_tree(const spawn_attr *usage, unsigned which, uint64_t *ret)
{
    if (spawn_u64v_count(usage) <= which
        || spawn_u64v_at(usage, which) == SPAWN_RU_UNKNOWN)
        return false;
    *ret = spawn_u64v_at(usage, which);
    return true;
}

/* All processes of a job with a cgroup. */
static void print_tree(const spawn_attr *usage)
{
    uint64_t user, system, memory, kills;
    char text[160];
    int n = 0;

    if (of_tree(usage, SPAWN_RU_TREE_UTIME_US, &user)
        && of_tree(usage, SPAWN_RU_TREE_STIME_US, &system))
        n = snprintf(text, sizeof(text), "user %.3f s, system %.3f s",
                     (double)user / 1e6, (double)system / 1e6);
    if (of_tree(usage, SPAWN_RU_TREE_MEMORY_KB, &memory))
        n += snprintf(text + n, sizeof(text) - (size_t)n,
                      "%smost memory %.1f MB", n ? ", " : "",
                      (double)memory / 1024);
    if (n)
        line("tree", text);
    if (of_tree(usage, SPAWN_RU_OOM_KILLS, &kills) && kills) {
        (void)snprintf(text, sizeof(text),
                       "%llu processes by the kernel, for want of memory",
                       (unsigned long long)kills);
        line("killed", text);
    }
}

static void print_usage(const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_RUSAGE];
    char text[160];

    if (!spawn_has(m, SPAWN_A_RUSAGE)
        || spawn_u64v_count(a) <= SPAWN_RU_MAXRSS_KB)
        return;
    (void)snprintf(text, sizeof(text),
                   "user %.3f s, system %.3f s, most memory %.1f MB",
                   (double)spawn_u64v_at(a, SPAWN_RU_UTIME_US) / 1e6,
                   (double)spawn_u64v_at(a, SPAWN_RU_STIME_US) / 1e6,
                   (double)spawn_u64v_at(a, SPAWN_RU_MAXRSS_KB) / 1024);
    line("used", text);
    print_tree(a);
}

/* The returned values are for Perl: the size says enough. */
static void print_result(const spawn_message *m)
{
    const char *kind = spawn_result_kind_name(m);
    char text[512];

    if (spawn_progress_text(m, text, sizeof(text)))
        line("progress", text);
    if (!kind)
        return;
    if (spawn_has(m, SPAWN_A_RESULT))
        (void)snprintf(text, sizeof(text), "%s, %lu bytes", kind,
                       (unsigned long)m->attr[SPAWN_A_RESULT].length);
    else if (spawn_cut_of(m, 2))
        (void)snprintf(text, sizeof(text),
                       "%s, %llu bytes that are not kept any more", kind,
                       (unsigned long long)spawn_cut_of(m, 2));
    else
        (void)snprintf(text, sizeof(text), "%s", kind);
    line("result", text);
}

static void print_bytes(const uint8_t *data, size_t length)
{
    ctl_print_output(stdout, data, length);
    if (length && data[length - 1] != '\n')
        (void)putchar('\n');
}

static void print_output(const spawn_message *m, const char *name,
                         unsigned attr, unsigned lost_attr, unsigned which)
{
    const spawn_attr *a = &m->attr[attr];
    unsigned long long lost = (unsigned long long)spawn_u64_or(m, lost_attr, 0);
    unsigned long long cut = (unsigned long long)spawn_cut_of(m, which);
    size_t head = a->length;

    if (!spawn_has(m, attr))
        return;
    (void)printf("--- %s: %llu bytes", name,
                 (unsigned long long)a->length + cut);
    if (lost == SPAWN_LOST_ALL)
        (void)fputs(", lost with its spawner", stdout);
    else if (lost)
        (void)printf(", %llu more are lost", lost);
    (void)fputs(" ---\n", stdout);
    if (cut && head > SPAWN_KEPT_HEAD)
        head = SPAWN_KEPT_HEAD;
    print_bytes(a->data, head);
    if (cut)
        (void)printf("--- %llu bytes of %s are not kept any more ---\n", cut,
                     name);
    print_bytes(a->data + head, a->length - head);
}

static void print_log_tail(const spawn_message *m)
{
    const spawn_attr *a = &m->attr[SPAWN_A_LOG_TAIL];

    if (!spawn_has(m, SPAWN_A_LOG_TAIL))
        return;
    (void)fputs("--- its last lines in the error log ---\n", stdout);
    print_bytes(a->data, a->length);
}

static void print_elapsed(const spawn_message *m)
{
    char number[32];

    if (!spawn_has(m, SPAWN_A_ELAPSED))
        return;
    (void)snprintf(number, sizeof(number), "%.3f s",
                   (double)spawn_attr_u64(&m->attr[SPAWN_A_ELAPSED]) / 1e6);
    line("elapsed", number);
}

static void print_attempt(void *unused, const spawn_message *m)
{
    char outcome[128], number[32];

    (void)unused;
    (void)printf("attempt %llu\n",
                 (unsigned long long)spawn_u64_or(m, SPAWN_A_ATTEMPT, 0));
    spawn_outcome_text(m, outcome, sizeof(outcome));
    line("ended as", outcome);
    line_text("reason", m, SPAWN_A_TEXT);
    if (spawn_has(m, SPAWN_A_PID)) {
        (void)snprintf(number, sizeof(number), "%llu",
                       (unsigned long long)spawn_u64_or(m, SPAWN_A_PID, 0));
        line("pid", number);
    }
    line_time("started", m, SPAWN_A_STARTED_AT);
    line_time("ended", m, SPAWN_A_ENDED_AT);
    print_elapsed(m);
    print_output(m, "stdout", SPAWN_A_OUT, SPAWN_A_OUT_LOST, 0);
    print_output(m, "stderr", SPAWN_A_ERR, SPAWN_A_ERR_LOST, 1);
}

static void print_job(const spawn_message *m)
{
    char text[SPAWN_ID_TEXT];
    char number[32];
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    (void)printf("job %s\n", spawn_id_format(&id, text));
    print_state(m);
    line_text("queue", m, SPAWN_A_QUEUE);
    line_text("label", m, SPAWN_A_LABEL);
    print_command(m);
    print_context(m);
    ctl_rules_print(m, line);
    if (spawn_has(m, SPAWN_A_PID)) {
        (void)snprintf(
            number, sizeof(number), "%llu",
            (unsigned long long)spawn_attr_u64(&m->attr[SPAWN_A_PID]));
        line("pid", number);
    }
    if (spawn_has(m, SPAWN_A_HANDLES)) {
        (void)snprintf(
            number, sizeof(number), "%llu, lost by a stop",
            (unsigned long long)spawn_attr_u64(&m->attr[SPAWN_A_HANDLES]));
        line("handles", number);
    }
    if (spawn_has(m, SPAWN_A_ATTEMPT)) {
        (void)snprintf(
            number, sizeof(number), "%llu",
            (unsigned long long)spawn_attr_u64(&m->attr[SPAWN_A_ATTEMPT]));
        line("attempt", number);
    }
    line_time("submitted", m, SPAWN_A_SUBMITTED_AT);
    line_due(m);
    line_time("expires", m, SPAWN_A_EXPIRES_AT);
    line_time("started", m, SPAWN_A_STARTED_AT);
    line_time("ended", m, SPAWN_A_ENDED_AT);
    print_elapsed(m);
    print_usage(m);
    print_result(m);
    print_output(m, "stdout", SPAWN_A_OUT, SPAWN_A_OUT_LOST, 0);
    print_output(m, "stderr", SPAWN_A_ERR, SPAWN_A_ERR_LOST, 1);
    print_log_tail(m);
    spawn_attempts_each(m, print_attempt, NULL);
}

static int show_one(spawn_ctl *ctl, const char *text, bool with_output)
{
    spawn_answer answer;
    spawn_id id;
    int code = ctl_lookup(ctl, text, &id);

    if (code == 0)
        code = ctl_get(ctl, &id, with_output, &answer);
    if (code)
        return code;
    if (ctl->json)
        ctl_json_print(ctl_json_job(&answer.message));
    else
        print_job(&answer.message);
    spawn_answer_free(&answer);
    return CTL_OK;
}

int ctl_show(spawn_ctl *ctl, int argc, char **argv)
{
    bool with_output = false;
    int option, code, worst = CTL_OK;

    while (
        (option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS "o", options))
        != -1) {
        if (option == 'o') {
            with_output = true;
            continue;
        }
        code = option == 'T' ? ctl_option_timeout(ctl, optarg)
                             : ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(ctl, "no id; 'spawnctl ps --all' lists them");
    code = ctl_connect(ctl);
    if (code)
        return code;
    for (; optind < argc; optind++) {
        code = show_one(ctl, argv[optind], with_output);
        if (code > worst)
            worst = code;
        if (optind + 1 < argc && !ctl->json)
            (void)putchar('\n');
    }
    return worst;
}
