/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error log lines of spawner and broker (single-threaded both). The log's
 * descriptor is shared with httpd, so it cannot be made non-blocking: poll
 * tells whether a short write would wait. A line is at most PIPE_BUF long, so
 * that lines of several writers do not mix in a pipe.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "spawn_log.h"

#define LINE_MAX_BYTES (PIPE_BUF < 4096 ? PIPE_BUF : 4096)

static int log_level = SPAWN_LOG_NOTICE;
static unsigned long dropped;

static const char *const level_names[] = {"emerg", "alert",  "crit", "error",
                                          "warn",  "notice", "info", "debug"};

void spawn_log_level(int level)
{
    log_level = level;
}

static size_t put_prefix(char *line, size_t room, int level)
{
    struct timespec now;
    struct tm tm;
    char date[32], year[8];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &tm);
    (void)strftime(date, sizeof(date), "%a %b %d %H:%M:%S", &tm);
    (void)strftime(year, sizeof(year), "%Y", &tm);
    return (size_t)snprintf(line, room, "[%s.%06ld %s] [spawn:%s] [pid %d] ",
                            date, now.tv_nsec / 1000, year, level_names[level],
                            (int)getpid());
}

static int writable(void)
{
    struct pollfd p = {STDERR_FILENO, POLLOUT, 0};

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT);
}

static void write_line(char *line, size_t length, size_t clean_from)
{
    size_t i;

    for (i = clean_from; i < length; i++) {
        if ((unsigned char)line[i] < 0x20 && line[i] != '\t')
            line[i] = ' ';
    }
    line[length++] = '\n';
    if (!writable()) {
        dropped++;
        return;
    }
    if (dropped) {
        char note[200];
        size_t n = put_prefix(note, sizeof(note), SPAWN_LOG_WARN);

        n += (size_t)snprintf(note + n, sizeof(note) - n,
                              MSNO(0301) "%lu log lines were dropped: the "
                                         "error log did not take them\n",
                              dropped);
        if (write(STDERR_FILENO, note, n) > 0)
            dropped = 0;
        if (!writable()) {
            dropped++;
            return;
        }
    }
    if (write(STDERR_FILENO, line, length) < 0)
        dropped++;
}

void spawn_log(int level, const char *fmt, ...)
{
    char line[LINE_MAX_BYTES];
    va_list ap;
    size_t prefix, n;
    int saved = errno;

    if (level > log_level || level < 0 || level > SPAWN_LOG_DEBUG)
        return;
    prefix = n = put_prefix(line, sizeof(line), level);
    va_start(ap, fmt);
    n += (size_t)vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    if (n > sizeof(line) - 2)
        n = sizeof(line) - 2;
    write_line(line, n, prefix);
    errno = saved;
}

void spawn_log_output(const char *who, const char *stream, const char *text,
                      size_t length)
{
    char line[LINE_MAX_BYTES];
    size_t prefix, n;

    prefix = n = put_prefix(line, sizeof(line), SPAWN_LOG_INFO);
    n += (size_t)snprintf(line + n, sizeof(line) - n, "%s %s: ", who, stream);
    if (length > sizeof(line) - n - 2)
        length = sizeof(line) - n - 2;
    memcpy(line + n, text, length);
    write_line(line, n + length, prefix);
}
