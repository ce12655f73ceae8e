/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file output.h
 * @brief The stdout and stderr of jobs, where that is logged or captured: pipes
 * that the broker reads, and memory files that captured bytes go to.
 *
 * The spawner keeps duplicates of the read ends and the files, so that a killed
 * broker breaks no pipe and the next one goes on.
 */
#ifndef SPAWN_BROKER_PROCESS_OUTPUT_H
#define SPAWN_BROKER_PROCESS_OUTPUT_H

#include "broker/base/logs.h"
#include "broker/job/job.h"

/* streams: the two of a job or of a template, 0 stdout and 1 stderr; NULL where
 * there is none. */

/**
 * Make the pipe (and the file) of a stream.
 * @param who whose lines these are, for the log.
 * @param ret_write the end for the process; close it when it is sent.
 * @return 0 or a negative errno.
 */
int spawn_output_make(spawn_stream **streams, const char *who, int which,
                      bool capture, uint64_t limit, int *ret_write);

/** Go on with what the spawner kept; owns both from now on. file -1: logged. */
void spawn_output_adopt(spawn_stream **streams, const char *who, int which,
                        int pipe, int file, uint64_t limit);

/** The name of a job in the log, into who[SPAWN_WHO]. Returns who. */
#define SPAWN_WHO 48
char *spawn_output_who(const spawn_id *id, char *who);

/** It was captured elsewhere: these bytes. 0 or a negative errno. */
int spawn_output_given(spawn_stream **streams, int which, const void *data,
                       size_t length, uint64_t lost);

/** The descriptors that the spawner is to keep, -1 when there is none. */
void spawn_output_fds(spawn_stream *const *streams, int which, int *ret_pipe,
                      int *ret_file);

/** The process has ended: read what is in the pipes. Captured bytes stay until
 * they are dropped. */
void spawn_output_finish(spawn_stream **streams);

/** From now on what comes is somebody else's: take what is there, and end a
 * line without end. Of logged streams. */
void spawn_output_rename(spawn_stream *const *streams, const char *who);

/** Logged lines are read when spawn_output_go_on has said whose they are, and
 * not before. */
void spawn_output_pause(spawn_stream *const *streams);
void spawn_output_go_on(spawn_stream *const *streams, const char *who);

/** The virtual host and the request that logged lines belong to from now on.
 * spawn_output_rename ends it. */
void spawn_output_belongs(spawn_stream *const *streams,
                          const spawn_whose *whose);

/** Close and forget all. */
void spawn_output_drop(spawn_stream **streams);

/** For the store. */
typedef struct {
    bool there; /* the stream is captured */
    void *data; /* NULL when empty */
    size_t length;
    uint64_t lost;
} spawn_captured;

/** The bytes that its order has captured went with its spawner. */
void spawn_output_lost(spawn_job *job, const spawn_message *order);

/** Bytes that were captured. */
size_t spawn_output_size(const spawn_job *job);
bool spawn_output_captured(const spawn_job *job);
void spawn_output_get(const spawn_job *job, int which, spawn_captured *ret);
void spawn_output_put(spawn_captured *c);

#endif
