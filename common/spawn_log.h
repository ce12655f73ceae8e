/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_log.h
 * @brief Lines in httpd's error log, from spawner and broker.
 *
 * Their stderr is the error log of the main server, unless that is the system's
 * log. A line has httpd's form: [time] [spawn:level] [pid n] MS0301: text, and
 * is escaped as httpd's are. Never blocks: lines that the log does not take (a
 * pipe that nobody reads, a full disk) are kept in a file up to its limit, else
 * dropped and counted; the log says so when it takes lines again.
 */
#ifndef SPAWN_LOG_H
#define SPAWN_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/spawn_few.h"
#include "common/spawn_sink.h"

/* Levels, numbered as httpd numbers them. */
#define SPAWN_LOG_CRIT   2
#define SPAWN_LOG_ERR    3
#define SPAWN_LOG_WARN   4
#define SPAWN_LOG_NOTICE 5
#define SPAWN_LOG_INFO   6
#define SPAWN_LOG_DEBUG  7

/** A message's number, as httpd has its APLOGNO. Each number stands once in
 * the sources and once, explained, in docs/messages.md (checked by a test):
 * 0100-0299 module, 0300-0499 spawner, 0500-0899 broker. */
#define MSNO(n) "MS" #n ": "

/** Lines of a higher level than this are left out. Default: notice, which is
 * never left out (as in httpd). */
void spawn_log_level(int level);

/** Is a line of this level written? */
bool spawn_log_wants(int level);

/** The file in the store for lines that the log does not take. */
#define SPAWN_LOG_KEPT     "kept.log"
#define SPAWN_LOG_KEPT_MAX (1 << 20)

/** Where lines go from now on; a copy is made. At first: stderr. */
void spawn_log_main(const spawn_sink *sink);
/** Where the next lines go; NULL: to the main log again. */
void spawn_log_to(const spawn_sink *sink);
/** The descriptor of the file for kept lines, which stays the caller's. */
void spawn_log_keep_in(int fd);

/** One line; fmt starts with MSNO(nnnn). */
void spawn_log(int level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * A line that a caller, a job or other strangers can cause at will: at most so
 * many a minute for each of those that it is about ("uid 33"), then a count
 * (MS0375).
 */
#define SPAWN_LOG_FEW     5  /* lines a minute, when nothing asks for more */
#define SPAWN_LOG_BY_HAND 30 /* the same, of what accounts have changed */
#define spawn_log_few(about, most, level, ...)                                 \
    do {                                                                       \
        static spawn_few few_of_this;                                          \
        spawn_log_few_of(&few_of_this, about, most, level, __VA_ARGS__);       \
    } while (0)
void spawn_log_few_of(spawn_few *few, const char *about, unsigned long most,
                      int level, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** Those that a line is about, for spawn_log_few: "uid N", or what and name; in
 * a static buffer. */
const char *spawn_log_uid(long uid);
const char *spawn_log_about(const char *what, const char *name);

/** When a count has to be written or a waiting line is to be tried, on the
 * monotonic clock; 0: never. */
int64_t spawn_log_due(void);
/** Write counts and lines that are due. now INT64_MAX: all, before the end, or
 * before a log's descriptor is closed; lines that cannot be written are
 * kept. */
void spawn_log_counts(int64_t now);

/** A line that a job or a template wrote, tagged: "who stream: text". A text
 * that is too long for a line becomes several lines. */
void spawn_log_output(int level, const char *who, const char *stream,
                      const char *text, size_t length);

#endif
