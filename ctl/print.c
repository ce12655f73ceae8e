/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people. Runs in spawnctl. Must print no control character that a
 * job's caller wrote (arguments, label, context), nor one of a job's output to
 * a terminal.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>
#include <sys/ioctl.h>

#include "ctl/ctl.h"

static bool plain(const char *word)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                               "@%+=:,./-_";

    return *word && word[strspn(word, safe)] == '\0';
}

static void put_word(FILE *to, const char *word)
{
    if (plain(word)) {
        (void)fputs(word, to);
        return;
    }
    (void)fputc('\'', to);
    for (; *word; word++) {
        if (*word == '\'')
            (void)fputs("'\\''", to);
        else
            (void)fputc(*word, to);
    }
    (void)fputc('\'', to);
}

char *ctl_command(const spawn_message *job)
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
    for (i = 0; i < count; i++) {
        word = spawn_strv_next(argv, word);
        if (i)
            (void)fputc(' ', to);
        put_word(to, word);
    }
    if (fclose(to)) {
        free(text);
        return NULL;
    }
    return text;
}

bool ctl_progress(const spawn_message *job, char *text, size_t room)
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

/* may: control characters that stay as they are. */
static void print_span(FILE *to, const char *text, size_t left, unsigned width,
                       const char *may)
{
    unsigned used = 0;
    mbstate_t state;

    memset(&state, 0, sizeof(state));
    while (left > 0) {
        wchar_t c;
        size_t n = mbrtowc(&c, text, left, &state);
        bool bad = n == (size_t)-1 || n == (size_t)-2 || n == 0;
        bool shown = !bad && (iswprint((wint_t)c) || strchr(may, *text));
        int columns = shown && iswprint((wint_t)c) ? wcwidth(c) : 1;

        if (bad) {
            memset(&state, 0, sizeof(state));
            n = 1;
        }
        if (width && used + (unsigned)columns > width)
            return;
        if (shown)
            (void)fwrite(text, 1, n, to);
        else
            (void)fputc('?', to);
        used += (unsigned)columns;
        text += n;
        left -= n;
    }
}

void ctl_print_text(FILE *to, const char *text, unsigned width)
{
    print_span(to, text, strlen(text), width, "");
}

void ctl_print_output(FILE *to, const void *data, size_t length)
{
    if (isatty(fileno(to)))
        print_span(to, data, length, 0, "\n\t");
    else
        (void)fwrite(data, 1, length, to);
}

unsigned ctl_terminal_width(void)
{
    struct winsize size;

    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void ctl_duration(int64_t ms, char *text, size_t room)
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

void ctl_size(uint64_t bytes, char *text, size_t room)
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

void ctl_time_local(uint64_t ms, char *text, size_t room)
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

void ctl_time_iso(uint64_t ms, char *text, size_t room)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    char day[32] = "";

    if (gmtime_r(&s, &tm))
        (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(text, room, "%s.%03uZ", day, (unsigned)(ms % 1000));
}
