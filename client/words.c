/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JOB message in words. Runs in whatever shows jobs to people or programs:
 * spawnctl, httpd children. Must not make what a caller or a job wrote
 * printable, or cut it: that depends on where it is shown.
 */
#include "client/spawn_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- how it is, or ended ---- */

static unsigned number(const spawn_message *job, unsigned attr)
{
    return (unsigned)spawn_u64_or(job, attr, 0);
}

static void signal_text(const spawn_message *job, char *text, size_t room)
{
    const char *name = sigabbrev_np((int)number(job, SPAWN_A_SIGNAL));
    bool core = number(job, SPAWN_A_CORE) != 0;

    (void)snprintf(text, room, "%u%s%s%s%s", number(job, SPAWN_A_SIGNAL),
                   name || core ? " (" : "", name ? name : "",
                   core ? (name ? ", core" : "core") : "",
                   name || core ? ")" : "");
}

uint64_t spawn_cut_of(const spawn_message *job, unsigned which)
{
    const spawn_attr *cut = &job->attr[SPAWN_A_CUT];

    return spawn_has(job, SPAWN_A_CUT)
                   && spawn_u64v_count(cut) == SPAWN_CUT_COUNT
               ? spawn_u64v_at(cut, which)
               : 0;
}

const char *spawn_result_kind_name(const spawn_message *job)
{
    static const char *const names[] = {[SPAWN_RESULT_NONE] = "none",
                                        [SPAWN_RESULT_RETURNED] = "returned",
                                        [SPAWN_RESULT_DIED] = "died"};
    uint64_t kind = spawn_u64_or(job, SPAWN_A_RESULT_KIND, UINT64_MAX);

    if (!spawn_has(job, SPAWN_A_FUNCTION)
        || number(job, SPAWN_A_OUTCOME) == SPAWN_OUTCOME_NONE
        || kind >= sizeof(names) / sizeof(names[0]))
        return NULL;
    return names[kind];
}

void spawn_outcome_brief(const spawn_message *job, char *text, size_t room)
{
    unsigned outcome = number(job, SPAWN_A_OUTCOME);
    const char *name = spawn_outcome_name(outcome);
    const char *signal = sigabbrev_np((int)number(job, SPAWN_A_SIGNAL));
    const char *kind = spawn_result_kind_name(job);

    if (outcome == SPAWN_OUTCOME_NONE)
        (void)snprintf(text, room, "%s",
                       spawn_state_name(number(job, SPAWN_A_STATE)));
    else if (outcome == SPAWN_OUTCOME_EXITED && kind
             && spawn_u64_or(job, SPAWN_A_RESULT_KIND, 0) != SPAWN_RESULT_NONE)
        (void)snprintf(text, room, "%s", kind);
    else if (outcome == SPAWN_OUTCOME_EXITED)
        (void)snprintf(text, room, "%s %u", name,
                       number(job, SPAWN_A_EXIT_CODE));
    else if (outcome == SPAWN_OUTCOME_SIGNALLED && signal)
        (void)snprintf(text, room, "%s %s", name, signal);
    else if (outcome == SPAWN_OUTCOME_SIGNALLED)
        (void)snprintf(text, room, "%s %u", name, number(job, SPAWN_A_SIGNAL));
    else
        (void)snprintf(text, room, "%s", name);
}

void spawn_outcome_text(const spawn_message *job, char *text, size_t room)
{
    unsigned outcome = number(job, SPAWN_A_OUTCOME);
    const char *name = spawn_outcome_name(outcome);
    char signal[40];

    signal_text(job, signal, sizeof(signal));
    switch (outcome) {
    case SPAWN_OUTCOME_SIGNALLED:
        (void)snprintf(text, room, "%s %s", name, signal);
        return;
    case SPAWN_OUTCOME_TIMED_OUT:
    case SPAWN_OUTCOME_CANCELLED:
        if (spawn_has(job, SPAWN_A_EXIT_CODE))
            (void)snprintf(text, room, "%s, exited %u", name,
                           number(job, SPAWN_A_EXIT_CODE));
        else if (spawn_has(job, SPAWN_A_SIGNAL))
            (void)snprintf(text, room, "%s, signalled %s", name, signal);
        else
            (void)snprintf(text, room, "%s", name);
        return;
    case SPAWN_OUTCOME_START_FAILED:
        (void)snprintf(text, room, "%s: %s", name,
                       spawn_step_name(number(job, SPAWN_A_STEP)));
        return;
    default:
        spawn_outcome_brief(job, text, room);
        return;
    }
}

/* ---- what it runs, and did ---- */

static bool plain(const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "@%+=:,./-_";

    return *word && word[strspn(word, safe)] == '\0';
}

static void put_word(FILE *to, const char *word, size_t most)
{
    if (plain(word)) {
        (void)fwrite(word, 1, strnlen(word, most), to);
        return;
    }
    (void)fputc('\'', to);
    for (; *word && most > 0; word++, most--) {
        if (*word == '\'')
            (void)fputs("'\\''", to);
        else
            (void)fputc(*word, to);
    }
    (void)fputc('\'', to);
}

char *spawn_command_text(const spawn_message *job, size_t most)
{
    const spawn_attr *argv = &job->attr[SPAWN_A_ARGV];
    uint32_t i,
        count = spawn_has(job, SPAWN_A_ARGV) ? spawn_strv_count(argv) : 0;
    const char *word = NULL;
    char *text = NULL;
    size_t length = 0;
    FILE *to = open_memstream(&text, &length);

    if (!to)
        return NULL;
    if (spawn_has(job, SPAWN_A_FUNCTION))
        (void)fprintf(to, "%s()", spawn_attr_str(&job->attr[SPAWN_A_FUNCTION]));
    for (i = 0; i < count && most > 0; i++) {
        word = spawn_strv_next(argv, word);
        if (i)
            (void)fputc(' ', to);
        put_word(to, word, most);
        most -= strnlen(word, most);
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    return text;
}

bool spawn_progress_text(const spawn_message *job, char *text, size_t room)
{
    const spawn_attr *a = &job->attr[SPAWN_A_PROGRESS];
    const char *done, *of, *said;

    if (!spawn_has(job, SPAWN_A_PROGRESS) || spawn_strv_count(a) != 3)
        return false;
    done = spawn_strv_next(a, NULL);
    of = spawn_strv_next(a, done);
    said = spawn_strv_next(a, of);
    (void)snprintf(text, room, "%s%s%s%s%s", done, *of ? " of " : "", of,
                   *said && (*done || *of) ? ": " : "", said);
    return true;
}

/* A job may say any text: "1.5" is a number here, "-1", "1e9" and "inf"
 * are none. */
static bool is_number(const char *text, double *ret)
{
    char *end;

    if (!*text || text[strspn(text, "0123456789.")])
        return false;
    *ret = strtod(text, &end);
    return !*end;
}

bool spawn_progress_share(const spawn_message *job, double *ret)
{
    const spawn_attr *a = &job->attr[SPAWN_A_PROGRESS];
    const char *text;
    double done, of;

    if (!spawn_has(job, SPAWN_A_PROGRESS) || spawn_strv_count(a) != 3)
        return false;
    text = spawn_strv_next(a, NULL);
    if (!is_number(text, &done) || !is_number(spawn_strv_next(a, text), &of)
        || of <= 0)
        return false;
    *ret = done < of ? done / of : 1;
    return true;
}

void spawn_attempts_each(const spawn_message *job,
                         void (*each)(void *arg, const spawn_message *attempt),
                         void *arg)
{
    const spawn_attr *all = &job->attr[SPAWN_A_ATTEMPTS];
    spawn_message attempt;
    spawn_reader reader;
    spawn_attr one;

    if (!spawn_has(job, SPAWN_A_ATTEMPTS))
        return;
    spawn_reader_init(&reader, all->data, all->length);
    while (spawn_reader_next(&reader, &one) == 1) {
        if (one.id == SPAWN_A_ATTEMPTS && one.kind == SPAWN_KIND_NEST
            && spawn_body_parse(one.data, one.length, SPAWN_BODY_ATTEMPT, 0,
                                &attempt, NULL)
                   == 0)
            each(arg, &attempt);
    }
}

const char *spawn_rusage_name(unsigned which)
{
    static const char *const names[SPAWN_RU_ALL] = {
        [SPAWN_RU_UTIME_US] = "utime_us",
        [SPAWN_RU_STIME_US] = "stime_us",
        [SPAWN_RU_MAXRSS_KB] = "maxrss_kb",
        [SPAWN_RU_MINFLT] = "minflt",
        [SPAWN_RU_MAJFLT] = "majflt",
        [SPAWN_RU_INBLOCK] = "inblock",
        [SPAWN_RU_OUBLOCK] = "oublock",
        [SPAWN_RU_NVCSW] = "nvcsw",
        [SPAWN_RU_NIVCSW] = "nivcsw",
        [SPAWN_RU_TREE_UTIME_US] = "tree_utime_us",
        [SPAWN_RU_TREE_STIME_US] = "tree_stime_us",
        [SPAWN_RU_TREE_MEMORY_KB] = "tree_memory_kb",
        [SPAWN_RU_OOM_KILLS] = "oom_kills"};

    return which < SPAWN_RU_ALL ? names[which] : "unknown";
}

/* ---- text, times and sizes ---- */

size_t spawn_utf8_length(const uint8_t *p, size_t left)
{
    size_t n, i;
    uint32_t c;

    if (p[0] < 0x80)
        return 1;
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
        return 0;
    c = p[0] & (0x7fu >> n);
    for (i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff)))
        || (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    return n;
}

void spawn_duration_text(int64_t ms, char *text, size_t room)
{
    long long s = ms / 1000;

    if (ms < 0)
        (void)snprintf(text, room, "-");
    else if (ms < 10000)
        (void)snprintf(text, room, "%lld.%02llds", s,
                       (long long)(ms % 1000 / 10));
    else if (s < 60)
        (void)snprintf(text, room, "%llds", s);
    else if (s < 3600)
        (void)snprintf(text, room, "%lldm%02llds", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(text, room, "%lldh%02lldm", s / 3600, s % 3600 / 60);
    else
        (void)snprintf(text, room, "%lldd%02lldh", s / 86400, s % 86400 / 3600);
}

bool spawn_private_per_job(const spawn_message *m, uint64_t *ret)
{
    const spawn_attr *a = &m->attr[SPAWN_A_FAULTS];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), ended, faults;

    if (!spawn_has(m, SPAWN_A_FAULTS) || spawn_u64v_count(a) != 2
        || spawn_u64v_at(a, 0) == 0)
        return false;
    ended = spawn_u64v_at(a, 0);
    faults = spawn_u64v_at(a, 1);
    *ret = faults / ended * page + faults % ended * page / ended;
    return true;
}

void spawn_size_text(uint64_t bytes, char *text, size_t room)
{
    static const char units[] = "KMGT";
    double value = (double)bytes / 1024;
    unsigned i = 0;

    while (value >= 1000 && i < 3) {
        value /= 1024;
        i++;
    }
    (void)snprintf(text, room, i > 0 && value < 99.95 ? "%.1f%c" : "%.0f%c",
                   value, units[i]);
}

void spawn_time_local(uint64_t ms, char *text, size_t room)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char day[32] = "", zone[16] = "";

    if (localtime_r(&s, &tm)) {
        (void)strftime(day, sizeof(day), "%Y-%m-%d %H:%M:%S", &tm);
        (void)strftime(zone, sizeof(zone), "%z", &tm);
    }
    (void)snprintf(text, room, "%s.%03u %s", day, (unsigned)(ms % 1000), zone);
}

void spawn_time_iso(uint64_t ms, char *text, size_t room)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char day[32] = "";

    if (gmtime_r(&s, &tm))
        (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, room, "%s.%03uZ", day, (unsigned)(ms % 1000));
}
