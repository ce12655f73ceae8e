/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_board.h
 * @brief The board of a Perl job: a memfd between the job and the broker. The
 * job writes its progress and its result there, the broker that the job was
 * cancelled.
 *
 * It is no message and no pipe, so that a job that reports progress a million
 * times a second disturbs nobody, and its contents outlive both processes (the
 * spawner keeps a duplicate). The broker reads it as hostile bytes.
 *
 * Layout, in the machine's own order: a head of one page, then room for the
 * largest result. The file has its full size from the start and takes memory
 * only for what is written, so that the job can map it and close the descriptor
 * (its function may close any), and no limit of file sizes matters.
 */
#ifndef SPAWN_BOARD_H
#define SPAWN_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/spawn_proto.h"

/** Head and result; behind them there is room for a slate (spawn_slate.h). */
#define SPAWN_BOARD_SIZE (4096 + (size_t)SPAWN_RESULT_MAX)
#define SPAWN_BOARD_FILE (SPAWN_BOARD_SIZE + 4096 + 262144)

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

/** Empty it, for the next call of a worker. 0 or negative errno. */
int spawn_board_reset(int fd);

/**
 * The job's last progress.
 * @return 1 with *ret (texts ended by NUL, control characters replaced), 0
 * nothing yet, negative errno.
 */
int spawn_board_progress(int fd, spawn_progress *ret);

/**
 * The result, if the job has put one.
 * @param ret_data malloc'd, for the caller to free; NULL when empty.
 * @return the RESULT_KIND (SPAWN_RESULT_NONE: none), -EMSGSIZE when its length
 * is over SPAWN_RESULT_MAX, -EBADMSG when it is not all there.
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

/** Map the board; the descriptor is not needed afterwards. NULL with errno when
 * that fails. */
spawn_board *spawn_board_map(int fd);

/** Put progress, cut to the room that there is. Any thread of the job, one at a
 * time. */
void spawn_board_put_progress(spawn_board *board, const char *done,
                              const char *of, const char *text);

bool spawn_board_cancelled(const spawn_board *board);

/** Put the result: first the bytes, then the number that makes them count. 0,
 * or -EMSGSIZE over SPAWN_RESULT_MAX. */
int spawn_board_put_result(spawn_board *board, unsigned kind, const void *data,
                           size_t length);

/** Empty it, for a call that came from its caller directly. */
void spawn_board_clear(spawn_board *board);
/** The result that was put: its kind, and where its bytes are. */
unsigned spawn_board_own_result(const spawn_board *board, const void **ret_data,
                                size_t *ret_length);
/** The progress that was put last; false: none. */
bool spawn_board_own_progress(const spawn_board *board, spawn_progress *ret);

/** Where the slate of this worker is (spawn_slate.h). */
void *spawn_board_slate(spawn_board *board);

#endif
