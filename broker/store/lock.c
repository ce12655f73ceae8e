/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that a killed broker has left on the database. Runs in the broker,
 * while the store is closed.
 *
 * The kernel tells which process has a lock. In a pid namespace (a container)
 * it says 0 when that process has ended, and also when it is outside, where it
 * may be a person's sqlite3. So each broker locks a file of its own, too, which
 * nobody else does: while that is locked by a process that cannot be seen, the
 * lock of the database is a dead broker's. The spawner lets one broker live.
 */
#include "broker/store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"

typedef enum {
    FREE,
    DEAD,    /* its process has ended */
    UNSEEN,  /* its process has ended, or is in another pid namespace */
    BY_OTHER /* its process lives */
} lock_state;

static lock_state state_of(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
        return FREE;
    if (lock.l_pid <= 0)
        return UNSEEN;
    if ((kill(lock.l_pid, 0) < 0 && errno == ESRCH)
        || spawn_os_exiting(lock.l_pid))
        return DEAD;
    return BY_OTHER;
}

/* Is the mark that we have open the file of that name? */
static bool in_place(int mark, const char *path)
{
    struct stat ours, st;

    return mark >= 0 && fstat(mark, &ours) == 0 && lstat(path, &st) == 0
           && st.st_dev == ours.st_dev && st.st_ino == ours.st_ino;
}

/* The state that a broker before us has left; the mark is ours then. It stays
 * open as long as this process lives, or until it was removed: the file that we
 * have must not be opened once more, for the close would give up our lock. */
static lock_state take_mark(spawn_store *store)
{
    struct flock ours = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX];
    lock_state before;
    int fd;

    if (spawn_store_path(store, path, "broker.lock") < 0)
        return FREE;
    if (!in_place(store->lock.mark, path)) {
        fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            spawn_close_fds(&store->lock.mark, 1);
            store->lock.mark = fd;
        }
    }
    if (store->lock.mark < 0)
        return FREE;
    before = state_of(store->lock.mark);
    (void)fcntl(store->lock.mark, F_SETLK, &ours);
    return before;
}

void spawn_store_mark(spawn_store *store)
{
    (void)take_mark(store);
}

bool spawn_store_locked_by_the_dead(spawn_store *store)
{
    lock_state mark = take_mark(store), database;
    int fd = open(store->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return false;
    database = state_of(fd);
    (void)close(fd);
    return database == DEAD || (database == UNSEEN && mark == UNSEEN);
}
