/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses a standalone pair: processes that have a shared lock on the file
 * `users`, and jobs. Runs in spawn-standalone. Must not end a pair whose user
 * comes just now: users take their lock before they look for the socket.
 */
#include "standalone/standalone.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/file.h>

#include "client/meters.h"
#include "client/spawn_client.h"

#define ANSWER_MS 5000

static int open_users(const standalone *s)
{
    return openat(s->dir, STANDALONE_USERS,
                  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

/* With the lock, or -1: somebody has it, or nobody knows. */
static int lock_users(const standalone *s)
{
    int fd = open_users(s);

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

static bool has_jobs(const standalone *s)
{
    const spawn_endpoint endpoint = {.socket_path = s->socket,
                                     .secret = s->secret,
                                     .post_fd = -1,
                                     .name = "spawn-standalone",
                                     .timeout_ms = ANSWER_MS};
    spawn_meters_answer answer;
    spawn_client *client;
    spawn_failure why;
    bool has = true;

    /* without a spawner nothing runs, unless one of before has the store */
    if (s->link < 0)
        return s->held;
    if (spawn_client_open(&endpoint, &client) < 0)
        return true;
    if (spawn_client_meters(client, NULL, &answer, &why) == 0
        && answer.whole.has_jobs)
        has = answer.whole.running + answer.whole.waiting + answer.whole.delayed
              > 0;
    spawn_meters_free(&answer);
    spawn_client_close(client);
    return has;
}

bool standalone_used(standalone *s)
{
    int lock = lock_users(s);

    if (lock < 0)
        return true;
    (void)close(lock);
    return has_jobs(s);
}

bool standalone_close_door(standalone *s)
{
    int lock = lock_users(s);

    if (lock < 0)
        return false;
    if (!has_jobs(s))
        return true; /* the lock stays until we have ended */
    (void)close(lock);
    return false;
}
