/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error log lines. Runs in spawner and broker, one thread each. Must never
 * block. A line is at most PIPE_BUF long, so that lines of several writers do
 * not mix in a pipe.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_backlog.h"
#include "common/spawn_escape.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"

#define LINE_MAX_BYTES (PIPE_BUF < 4096 ? PIPE_BUF : 4096)
#define HEAD_MAX       256 /* of "who stream: " */

static int log_level = SPAWN_LOG_NOTICE;
static spawn_sink main_sink = {STDERR_FILENO, 0, "httpd"};
static const spawn_sink *current = &main_sink;
static int kept_fd = -1;
static unsigned long dropped, kept; /* since the log took lines */
static spawn_few *kinds;            /* of which a line was left out */
static int64_t next_due;            /* 0: nothing is */

static const char *const level_names[] = {"emerg", "alert",  "crit", "error",
                                          "warn",  "notice", "info", "debug"};

void spawn_log_level(int level)
{
    log_level = level;
}

bool spawn_log_wants(int level)
{
    return level == SPAWN_LOG_NOTICE || (level >= 0 && level <= log_level);
}

/* ---- where it goes ---- */

void spawn_log_main(const spawn_sink *sink)
{
    main_sink = *sink;
}

void spawn_log_to(const spawn_sink *sink)
{
    current = sink ? sink : &main_sink;
}

void spawn_log_keep_in(int fd)
{
    kept_fd = fd;
}

/* Keep a line that the log did not take. The next httpd reads the file. */
static void keep(const char *line, size_t length)
{
    struct stat st;

    if (fstat(kept_fd, &st) == 0
        && st.st_size + (off_t)length <= SPAWN_LOG_KEPT_MAX
        && write(kept_fd, line, length) == (ssize_t)length)
        kept++;
    else
        dropped++;
}

static void deliver(int level, const char *line, size_t length, size_t from)
{
    int rv = -EAGAIN;

    if (!spawn_backlog_has(current))
        rv = spawn_sink_write(current, level, line, length, from);
    if (rv == -EAGAIN
        && spawn_backlog_put(current, level, line, length, from,
                             spawn_mono_ms()))
        return;
    if (rv < 0)
        keep(line, length);
}

/* ---- one line ---- */

/* Returns its length; *ret_from is where the date ends. */
static size_t put_prefix(char *line, size_t room, int level, size_t *ret_from)
{
    struct timespec now;
    struct tm tm;
    char date[32], year[8];
    int n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &tm);
    (void)strftime(date, sizeof(date), "%a %b %d %H:%M:%S", &tm);
    (void)strftime(year, sizeof(year), "%Y", &tm);
    n = snprintf(line, room, "[%s.%06ld %s] ", date, now.tv_nsec / 1000, year);
    *ret_from = (size_t)n;
    n += snprintf(line + n, room - (size_t)n, "[spawn:%s] [pid %d] ",
                  level_names[level], (int)getpid());
    return (size_t)n;
}

static bool tell(const char *fmt, unsigned long count)
    __attribute__((format(printf, 1, 0)));

static bool tell(const char *fmt, unsigned long count)
{
    char note[300];
    size_t from, n = put_prefix(note, sizeof(note), SPAWN_LOG_WARN, &from);

    n += (size_t)snprintf(note + n, sizeof(note) - n, fmt, count);
    return spawn_sink_write(&main_sink, SPAWN_LOG_WARN, note, n, from) == 0;
}

/* When the main log takes lines again: say what became of those that were not
 * taken. */
static void tell_away(void)
{
    if (dropped
        && tell(MSNO(0301) "%lu log lines were dropped: the error log did not "
                           "take them\n",
                dropped))
        dropped = 0;
    if (kept
        && tell(MSNO(0376) "%lu log lines are in the file " SPAWN_LOG_KEPT
                           " of the store: an error log did not take them; "
                           "httpd writes them here at its next start or "
                           "graceful restart\n",
                kept))
        kept = 0;
}

static void flush(int64_t now)
{
    spawn_backlog_flush(now, keep);
    if (!spawn_backlog_waits())
        tell_away();
}

/* Write the head and as much of the text as a line has room for. Returns how
 * much. */
static size_t put_line(int level, const char *head, size_t head_length,
                       const char *text, size_t length)
{
    char line[LINE_MAX_BYTES];
    size_t from, used, taken;
    size_t n = put_prefix(line, sizeof(line), level, &from);

    (void)spawn_escape(head, head_length, line + n, HEAD_MAX, &used);
    n += used;
    taken = spawn_escape(text, length, line + n, sizeof(line) - n - 1, &used);
    n += used;
    line[n++] = '\n';
    flush(spawn_mono_ms());
    deliver(level, line, n, from);
    return taken;
}

static void put_text(int level, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static void put_text(int level, const char *fmt, va_list ap)
{
    char text[LINE_MAX_BYTES];
    int saved = errno;
    size_t n;

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    n = strlen(text);
    while (n > 0 && strchr(" \n", text[n - 1]))
        n--;
    (void)put_line(level, "", 0, text, n);
    errno = saved;
}

void spawn_log(int level, const char *fmt, ...)
{
    va_list ap;

    if (!spawn_log_wants(level))
        return;
    va_start(ap, fmt);
    put_text(level, fmt, ap);
    va_end(ap);
}

void spawn_log_output(int level, const char *who, const char *stream,
                      const char *text, size_t length)
{
    char head[HEAD_MAX];
    size_t n;

    if (!spawn_log_wants(level))
        return;
    (void)snprintf(head, sizeof(head), "%s %s: ", who, stream);
    n = strlen(head);
    do {
        size_t taken = put_line(level, head, n, text, length);

        text += taken;
        length -= taken;
    } while (length > 0);
}

/* ---- few of many ---- */

static void tell_count(const spawn_few *few, const spawn_few_entry *e)
{
    spawn_log(few->level,
              MSNO(0375) "%lu more lines like %s were left out within a minute "
                         "(%s)",
              e->left_out, few->number, e->about);
}

static void tell_over(spawn_few *few, int64_t now)
{
    spawn_few_entry over;

    while (spawn_few_over(few, now, &over))
        tell_count(few, &over);
}

static void know(spawn_few *few, int level, const char *fmt)
{
    few->level = level;
    if (few->number[0])
        return;
    (void)snprintf(few->number, sizeof(few->number), "%.6s", fmt);
    few->next = kinds;
    kinds = few;
}

void spawn_log_few_of(spawn_few *few, const char *about, unsigned long most,
                      int level, const char *fmt, ...)
{
    int64_t now = spawn_mono_ms(), over;
    va_list ap;

    if (!spawn_log_wants(level))
        return;
    know(few, level, fmt);
    tell_over(few, now);
    if (spawn_few_may(few, about, most, now)) {
        va_start(ap, fmt);
        put_text(level, fmt, ap);
        va_end(ap);
    }
    else {
        over = spawn_few_next(few);
        if (!next_due || over < next_due)
            next_due = over;
    }
}

int64_t spawn_log_due(void)
{
    int64_t soon;

    if (!spawn_backlog_waits())
        return next_due;
    soon = spawn_mono_ms() + spawn_backlog_retry_ms();
    return !next_due || soon < next_due ? soon : next_due;
}

static void tell_due(int64_t now)
{
    spawn_few *few;

    next_due = 0;
    for (few = kinds; few; few = few->next) {
        int64_t over;

        tell_over(few, now);
        over = spawn_few_next(few);
        if (over && (!next_due || over < next_due))
            next_due = over;
    }
}

void spawn_log_counts(int64_t now)
{
    if (next_due && now >= next_due)
        tell_due(now);
    flush(now);
}

static char about_text[SPAWN_FEW_ABOUT];

const char *spawn_log_uid(long uid)
{
    (void)snprintf(about_text, sizeof(about_text), "uid %ld", uid);
    return about_text;
}

const char *spawn_log_about(const char *what, const char *name)
{
    (void)snprintf(about_text, sizeof(about_text), "%s %s", what, name);
    return about_text;
}
