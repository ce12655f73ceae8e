/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slate of a worker. The upper half runs in the broker, which must never
 * map it (a job could cut the file under the mapping) nor believe it; the lower
 * half runs in the worker.
 *
 * A call that begins and a lease that ends may meet: the worker says that the
 * call runs and then looks at hold, the broker sets hold and then looks at what
 * runs. So at least one of them sees the other.
 */
#include "common/spawn_slate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_board.h"

/* ---- broker ---- */

bool spawn_slate_there(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_size >= (off_t)SPAWN_SLATE_END;
}

static int put(int fd, size_t at, const void *data, size_t length)
{
    return pwrite(fd, data, length, (off_t)(SPAWN_BOARD_SIZE + at))
                   == (ssize_t)length
               ? 0
               : -EIO;
}

int spawn_slate_begin(int fd, uint32_t lease, pid_t caller_pid,
                      uid_t caller_uid)
{
    const spawn_slate head = {
        .lease = lease, .caller_pid = caller_pid, .caller_uid = caller_uid};

    return put(fd, 0, &head, sizeof(head));
}

int spawn_slate_finish(int fd)
{
    const uint32_t no = 0;

    return put(fd, offsetof(spawn_slate, lease), &no, sizeof(no));
}

int spawn_slate_hold(int fd)
{
    const uint32_t yes = 1;
    int rv = put(fd, offsetof(spawn_slate, hold), &yes, sizeof(yes));

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return rv;
}

static int read_head(int fd, spawn_slate *ret)
{
    return pread(fd, ret, sizeof(*ret), (off_t)SPAWN_BOARD_SIZE)
                   == (ssize_t)sizeof(*ret)
               ? 0
               : -EBADMSG;
}

/* The worker needs less than a microsecond to change it, and then some for the
 * call. */
#define READ_TRIES 50

int spawn_slate_look(int fd, spawn_slate *ret)
{
    spawn_slate head, again;
    int i;

    for (i = 0; i < READ_TRIES; i++) {
        if (read_head(fd, &head) < 0 || read_head(fd, &again) < 0)
            return -EBADMSG;
        if (head.ended == again.ended && head.running == again.running)
            break;
    }
    if (again.ended - again.read > SPAWN_SLATE_CALLS)
        return -EBADMSG;
    *ret = again;
    return 0;
}

static off_t place_of(uint64_t n)
{
    return (off_t)(SPAWN_SLATE_CALLS_AT
                   + (n - 1) % SPAWN_SLATE_CALLS * sizeof(spawn_slate_call));
}

int spawn_slate_get(int fd, uint64_t n, spawn_slate_call *ret)
{
    if (pread(fd, ret, sizeof(*ret), place_of(n)) != (ssize_t)sizeof(*ret))
        return -EBADMSG;
    return ret->length <= sizeof(ret->order) ? 0 : -EBADMSG;
}

int spawn_slate_set_read(int fd, uint64_t n)
{
    return put(fd, offsetof(spawn_slate, read), &n, sizeof(n));
}

/* ---- worker ---- */

static spawn_slate_call *call_at(spawn_slate *slate, uint64_t n)
{
    spawn_slate_call *calls =
        (spawn_slate_call *)(void *)((uint8_t *)slate + SPAWN_SLATE_HEAD);

    return &calls[(n - 1) % SPAWN_SLATE_CALLS];
}

unsigned spawn_slate_unread(const spawn_slate *slate)
{
    return (unsigned)(slate->ended
                      - __atomic_load_n(&slate->read, __ATOMIC_ACQUIRE));
}

bool spawn_slate_is_held(const spawn_slate *slate)
{
    return __atomic_load_n(&slate->hold, __ATOMIC_SEQ_CST)
           || !__atomic_load_n(&slate->lease, __ATOMIC_SEQ_CST);
}

bool spawn_slate_begins(spawn_slate *slate, const spawn_slate_call *call)
{
    uint64_t n = slate->ended + 1;

    if (spawn_slate_is_held(slate)
        || spawn_slate_unread(slate) >= SPAWN_SLATE_CALLS
        || call->length > sizeof(call->order))
        return false;
    memcpy(call_at(slate, n), call,
           offsetof(spawn_slate_call, order) + call->length);
    __atomic_store_n(&slate->running, n, __ATOMIC_SEQ_CST);
    return true;
}

void spawn_slate_withdraw(spawn_slate *slate)
{
    __atomic_store_n(&slate->running, 0, __ATOMIC_SEQ_CST);
}

spawn_slate_call *spawn_slate_running(spawn_slate *slate)
{
    return call_at(slate, slate->running);
}

void spawn_slate_ends(spawn_slate *slate)
{
    __atomic_store_n(&slate->ended, slate->running, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slate->running, 0, __ATOMIC_SEQ_CST);
}

void spawn_slate_answered(spawn_slate *slate)
{
    __atomic_store_n(&slate->answered, slate->ended, __ATOMIC_RELEASE);
}
