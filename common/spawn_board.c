/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board between a Perl job and the broker. The upper half runs in the
 * broker, which must never map a board (a job could cut the file under the
 * mapping) and must check every number; the lower half runs in the job.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "common/spawn_board.h"
#include "common/spawn_os.h"
#include "common/spawn_proto.h"

#define HEAD_SIZE 4096

struct spawn_board {
    uint32_t version; /* odd: progress is being written */
    uint32_t cancelled;
    spawn_progress progress;
    uint32_t result_kind;
    uint32_t unused;
    uint64_t result_length;
};

/* A writer of progress needs some nanoseconds; one that was killed in the
 * middle never ends. */
#define READ_TRIES 50

/* ---- broker ---- */

int spawn_board_make(void)
{
    int fd = spawn_os_memfd("spawn-board");

    if (fd >= 0 && ftruncate(fd, (off_t)SPAWN_BOARD_FILE) < 0) {
        int error = errno;

        (void)close(fd);
        return -error;
    }
    return fd;
}

int spawn_board_cancel(int fd)
{
    const uint32_t yes = 1;

    return pwrite(fd, &yes, sizeof(yes), offsetof(spawn_board, cancelled))
                   == (ssize_t)sizeof(yes)
               ? 0
               : -EIO;
}

int spawn_board_reset(int fd)
{
    static const spawn_board nothing;

    return pwrite(fd, &nothing, sizeof(nothing), 0) == (ssize_t)sizeof(nothing)
               ? 0
               : -EIO;
}

static int read_head(int fd, spawn_board *ret)
{
    return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) ? 0
                                                                    : -EBADMSG;
}

static void clean_text(char *text, size_t room)
{
    char *p;

    text[room - 1] = '\0';
    for (p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    }
}

static void clean_progress(const spawn_board *head, spawn_progress *ret)
{
    *ret = head->progress;
    clean_text(ret->done, sizeof(ret->done));
    clean_text(ret->of, sizeof(ret->of));
    clean_text(ret->text, sizeof(ret->text));
}

int spawn_board_progress(int fd, spawn_progress *ret)
{
    spawn_board head, again;
    int i;

    for (i = 0; i < READ_TRIES; i++) {
        if (read_head(fd, &head) < 0 || read_head(fd, &again) < 0)
            return -EBADMSG;
        if (head.version == again.version && !(head.version & 1))
            break;
    }
    if (head.version == 0)
        return 0;
    clean_progress(&head, ret);
    return 1;
}

static int read_result(int fd, const spawn_board *head, void **ret_data,
                       size_t *ret_length)
{
    uint8_t *data = NULL;
    size_t at = 0;

    if (head->result_kind == SPAWN_RESULT_NONE
        || head->result_kind > SPAWN_RESULT_DIED)
        return SPAWN_RESULT_NONE;
    if (head->result_length > SPAWN_RESULT_MAX)
        return -EMSGSIZE;
    if (head->result_length > 0) {
        data = malloc(head->result_length);
        if (!data)
            return -ENOMEM;
    }
    while (at < head->result_length) {
        ssize_t n = pread(fd, data + at, head->result_length - at,
                          (off_t)(HEAD_SIZE + at));

        if (n <= 0) {
            free(data);
            return -EBADMSG;
        }
        at += (size_t)n;
    }
    *ret_data = data;
    *ret_length = head->result_length;
    return (int)head->result_kind;
}

int spawn_board_result(int fd, void **ret_data, size_t *ret_length)
{
    spawn_board head;
    int rv = read_head(fd, &head);

    return rv < 0 ? rv : read_result(fd, &head, ret_data, ret_length);
}

int spawn_board_take(int fd, void **ret_data, size_t *ret_length,
                     bool *ret_said, spawn_progress *ret)
{
    spawn_board head;
    int rv = read_head(fd, &head);

    if (rv < 0)
        return rv;
    *ret_said = head.version != 0;
    if (*ret_said)
        clean_progress(&head, ret);
    return read_result(fd, &head, ret_data, ret_length);
}

/* ---- job ---- */

spawn_board *spawn_board_map(int fd)
{
    void *map =
        mmap(NULL, SPAWN_BOARD_FILE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    return map == MAP_FAILED ? NULL : map;
}

void spawn_board_put_progress(spawn_board *board, const char *done,
                              const char *of, const char *text)
{
    spawn_progress *p = &board->progress;

    __atomic_fetch_add(&board->version, 1, __ATOMIC_ACQ_REL);
    (void)snprintf(p->done, sizeof(p->done), "%s", done);
    (void)snprintf(p->of, sizeof(p->of), "%s", of);
    (void)snprintf(p->text, sizeof(p->text), "%s", text);
    __atomic_fetch_add(&board->version, 1, __ATOMIC_ACQ_REL);
}

bool spawn_board_cancelled(const spawn_board *board)
{
    return __atomic_load_n(&board->cancelled, __ATOMIC_ACQUIRE) != 0;
}

int spawn_board_put_result(spawn_board *board, unsigned kind, const void *data,
                           size_t length)
{
    if (length > SPAWN_RESULT_MAX)
        return -EMSGSIZE;
    if (length > 0)
        memcpy((uint8_t *)board + HEAD_SIZE, data, length);
    board->result_length = length;
    __atomic_store_n(&board->result_kind, kind, __ATOMIC_RELEASE);
    return 0;
}

void spawn_board_clear(spawn_board *board)
{
    memset(board, 0, sizeof(*board));
}

unsigned spawn_board_own_result(const spawn_board *board, const void **ret_data,
                                size_t *ret_length)
{
    *ret_data = (const uint8_t *)board + HEAD_SIZE;
    *ret_length = board->result_length;
    return board->result_kind;
}

bool spawn_board_own_progress(const spawn_board *board, spawn_progress *ret)
{
    if (board->version == 0)
        return false;
    clean_progress(board, ret);
    return true;
}

void *spawn_board_slate(spawn_board *board)
{
    return (uint8_t *)board + SPAWN_BOARD_SIZE;
}
