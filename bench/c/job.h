/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file job.h
 * @brief A job in a bare message, in the least code: what message.c makes of
 * words and a queue, and what peer.c checks and keeps before it answers.
 */
#ifndef BENCH_JOB_H
#define BENCH_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "bench/c/bare.h"

#define BARE_JOB   'j' /* first byte of a message that is a job */
#define JOB_ID     16
#define JOB_SLOTS  4096
#define JOB_WORDS  64
#define JOB_QUEUES 16

/* Behind it: the queue's name and the words, each with a NUL at its end. */
struct job {
    char kind;
    uint8_t words;
    uint16_t bytes; /* of all that is behind */
    int64_t submitted;
    uint8_t id[JOB_ID];
};

/* Puts one text more into the message; false if there is no room. */
static inline bool job_put(char *message, const char *text)
{
    struct job *job = (struct job *)(void *)message;
    size_t size = strlen(text) + 1;

    if (sizeof(*job) + job->bytes + size > BARE_SIZE)
        return false;
    memcpy(message + sizeof(*job) + job->bytes, text, size);
    job->bytes = (uint16_t)(job->bytes + size);
    return true;
}

/* message has BARE_SIZE bytes and is aligned as an int64_t. */
static inline bool job_write(char *message, const char *queue, char **words)
{
    struct job *job = (struct job *)(void *)message;

    memset(message, 0, BARE_SIZE);
    job->kind = BARE_JOB;
    job->submitted = now_ns();
    if (getrandom(job->id, sizeof(job->id), 0) != sizeof(job->id)
        || !job_put(message, queue) || !words[0] || words[0][0] != '/')
        return false;
    for (; words[job->words]; job->words++) {
        if (job->words == JOB_WORDS || !job_put(message, words[job->words]))
            return false;
    }
    return true;
}

/* Checks a job, counts it in its queue and keeps it; false for a bad one. */
static inline bool job_keep(const char *message, size_t length)
{
    static char slots[JOB_SLOTS][BARE_SIZE];
    static unsigned next, waiting[JOB_QUEUES];
    const struct job *job = (const struct job *)(const void *)message;
    const char *at = message + sizeof(*job), *end;
    unsigned queue = 0, texts = 0;

    if (length != BARE_SIZE || job->words < 1 || job->words > JOB_WORDS
        || job->bytes > BARE_SIZE - sizeof(*job))
        return false;
    end = at + job->bytes;
    for (; at < end && *at; at++)
        queue = queue * 31 + (unsigned char)*at;
    if (at == end || at + 1 == end || at[1] != '/' || end[-1] != '\0')
        return false;
    for (at++; at < end; at++)
        texts += *at == '\0';
    if (texts != job->words)
        return false;
    waiting[queue % JOB_QUEUES]++;
    memcpy(slots[next++ % JOB_SLOTS], message, length);
    return true;
}

#endif
