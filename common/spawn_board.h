/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_board.h
 * @brief The board of a Perl job: a memfd between the job and the broker, on
 * which the job puts its progress and its result, and the broker that the job
 * was cancelled.
 *
 * No message and no pipe: a job that reports progress a million times a second
 * disturbs nobody, and what stands there outlives both processes (the spawner
 * holds a duplicate). The broker takes what it reads for hostile.
 *
 * Layout, in the machine's own order: a head of one page, then room for the
 * largest result. The file has its full size from the start and takes memory
 * only for what is written, so that the job can map it, close the descriptor
 * (its function may close any) and needs no leave to make a file grow.
 */
#ifndef SPAWN_BOARD_H
#define SPAWN_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAWN_BOARD_NUMBER 32 /* digits of done and of, with NUL */
#define SPAWN_BOARD_TEXT   256

typedef struct {
    char done[SPAWN_BOARD_NUMBER];
    char of[SPAWN_BOARD_NUMBER];
    char text[SPAWN_BOARD_TEXT];
} spawn_progress;

/* ---- broker ---- */

/** A new board: a memfd, close-on-exec, or a negative errno. */
int spawn_board_make(void);

/** Tell the job that it is asked to end. 0 or negative errno. */
int spawn_board_cancel(int fd);

/** As if nothing had been put on it, for the next call of a worker. 0 or
 * negative errno. */
int spawn_board_reset(int fd);

/**
 * What the job said last.
 * @return 1 with *ret (texts ended by NUL, control characters replaced), 0
 * nothing yet, negative errno.
 */
int spawn_board_progress(int fd, spawn_progress *ret);

/**
 * The result, if the job has put one.
 * @param ret_data malloc'd, for the caller to free; NULL when empty.
 * @return the RESULT_KIND (SPAWN_RESULT_NONE: none), -EMSGSIZE when it says to
 * be longer than SPAWN_RESULT_MAX, -EBADMSG when it is not all there.
 */
int spawn_board_result(int fd, void **ret_data, size_t *ret_length);

/**
 * Result and progress at once, of a job that writes to its board no more.
 * @param ret_said whether there is progress, which is in *ret then.
 * @return as spawn_board_result.
 */
int spawn_board_take(int fd, void **ret_data, size_t *ret_length,
                     bool *ret_said, spawn_progress *ret);

/* ---- job ---- */

typedef struct spawn_board spawn_board;

/** Map the board; the descriptor is not needed any more then. NULL with errno
 * when that fails. */
spawn_board *spawn_board_map(int fd);

/** Cut to the room that there is. Any thread of the job, one at a time. */
void spawn_board_put_progress(spawn_board *board, const char *done,
                              const char *of, const char *text);

bool spawn_board_cancelled(const spawn_board *board);

/** Put the result: bytes first, then what makes them count. 0, or -EMSGSIZE
 * over SPAWN_RESULT_MAX. */
int spawn_board_put_result(spawn_board *board, unsigned kind, const void *data,
                           size_t length);

#endif
