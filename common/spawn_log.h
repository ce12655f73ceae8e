/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_log.h
 * @brief Lines in httpd's error log, from spawner and broker.
 *
 * Their stderr is the error log of the main server. A line has httpd's form:
 * [time] [spawn:level] [pid n] MS0301: text. Never blocks: when the log is a
 * pipe that nobody reads, lines are dropped and counted, and the count is
 * written when there is room again.
 */
#ifndef SPAWN_LOG_H
#define SPAWN_LOG_H

#include <stddef.h>

/* Levels, numbered as httpd numbers them. */
#define SPAWN_LOG_CRIT   2
#define SPAWN_LOG_ERR    3
#define SPAWN_LOG_WARN   4
#define SPAWN_LOG_NOTICE 5
#define SPAWN_LOG_INFO   6
#define SPAWN_LOG_DEBUG  7

/** A message's number, as httpd has its APLOGNO. Each number stands once in
 * the sources and once, explained, in docs/messages.md (checked by a test):
 * 0100-0299 module, 0300-0499 spawner, 0500-0799 broker. */
#define MSNO(n) "MS" #n ": "

/** Lines of a higher level than this are left out. Default: notice. */
void spawn_log_level(int level);

/** One line; fmt starts with MSNO(nnnn). Control characters are replaced. */
void spawn_log(int level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** A line that a job or a template wrote, tagged: "who stream: text". Written
 * whatever the level is. */
void spawn_log_output(const char *who, const char *stream, const char *line,
                      size_t length);

#endif
