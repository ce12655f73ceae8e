/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of launches that the store does not have yet. Runs in the broker.
 *
 * A note must be written before its order is sent, and be gone, or be wrong
 * about nobody, when its job waits again. It is a file, and no memory, so that
 * it outlives what the database outlives: when all of httpd is killed at once,
 * no job runs twice. A note whose job is stored stays until its place is
 * needed, and until then it may be of an attempt before the one that the job
 * waits for.
 */
#include "broker/store/launches.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_packet.h"
#include "broker/base/conf.h"
#include "broker/store/parts.h"
#include "broker/store/place.h"

/* Another layout has another size. */
#define NAME "launches"

/* That of releases which knew one attempt only. */
typedef struct {
    spawn_id id, life;
} older_note;

static bool write_notes(const spawn_store *store, unsigned from, unsigned count)
{
    const spawn_part_launches *l = &store->launches;
    const size_t size = count * sizeof(l->notes[0]);

    return l->fd >= 0
           && pwrite(l->fd, &l->notes[from], size,
                     (off_t)(from * sizeof(l->notes[0])))
                  == (ssize_t)size;
}

static void take_older(spawn_part_launches *l, const older_note *older)
{
    unsigned i;

    for (i = 0; i < SPAWN_LAUNCHES; i++) {
        l->notes[i].id = older[i].id;
        l->notes[i].life = older[i].life;
        l->notes[i].attempt = 1;
    }
}

static int read_notes(spawn_store *store)
{
    spawn_part_launches *l = &store->launches;
    older_note older[SPAWN_LAUNCHES];
    ssize_t n;

    n = pread(l->fd, l->notes, sizeof(l->notes), 0);
    if (n == (ssize_t)sizeof(older)) {
        memcpy(older, l->notes, sizeof(older));
        take_older(l, older);
    }
    return n < 0 ? errno : 0;
}

/* Nothing that a broker before us has written: there is no room for a new one,
 * or no plain file stands there. */
static bool has_none(int error)
{
    return error == ENOENT || error == ENOSPC || error == EDQUOT
           || error == ELOOP || error == EISDIR || error == ENXIO
           || error == ESPIPE;
}

int spawn_launches_open(spawn_store *store, spawn_failure *why)
{
    spawn_part_launches *l = &store->launches;
    char path[PATH_MAX];
    int error;

    if (spawn_store_path(store, path, NAME))
        return 0; /* a longer path than ours of the database */
    l->fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    error = l->fd < 0 ? errno : l->known ? 0 : read_notes(store);
    if (error && !l->known && !has_none(error)) {
        spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, error,
                          "%.160s cannot be read, which says of jobs that wait "
                          "whether they were ordered",
                          path);
        return -1;
    }
    l->known = true;
    /* all of it, so that the disk has the room for each */
    if (l->fd >= 0 && !write_notes(store, 0, SPAWN_LAUNCHES))
        spawn_close_fds(&l->fd, 1);
    return 0;
}

void spawn_launches_close(spawn_store *store)
{
    spawn_close_fds(&store->launches.fd, 1);
}

static unsigned take_place(spawn_part_launches *l, unsigned at)
{
    l->taken[at] = true;
    return at + 1;
}

unsigned spawn_launches_note(spawn_store *store, const spawn_id *id,
                             unsigned attempt)
{
    spawn_part_launches *l = &store->launches;
    const bool *free_one = memchr(l->taken, 0, sizeof(l->taken));
    unsigned at = free_one ? (unsigned)(free_one - l->taken) : 0;

    if (!free_one)
        return 0;
    l->notes[at].id = *id;
    l->notes[at].life = spawn_conf.spawner_life;
    l->notes[at].attempt = attempt;
    if (write_notes(store, at, 1))
        return take_place(l, at);
    memset(&l->notes[at], 0, sizeof(l->notes[at])); /* nobody has its order */
    return 0;
}

void spawn_launches_stored(spawn_store *store, unsigned place)
{
    if (place)
        store->launches.taken[place - 1] = false;
}

static unsigned find(const spawn_part_launches *l, const spawn_id *id)
{
    unsigned at = 0;

    while (at < SPAWN_LAUNCHES && !spawn_id_equal(&l->notes[at].id, id))
        at++;
    return at;
}

void spawn_launches_undo(spawn_job *job)
{
    spawn_store *store = job->batch->store;
    spawn_part_launches *l = &store->launches;
    unsigned at = find(l, &job->id);

    job->noted = 0;
    if (at == SPAWN_LAUNCHES)
        return;
    memset(&l->notes[at], 0, sizeof(l->notes[at]));
    l->taken[at] = false;
    /* else it says of a job that waits that it was ordered: when all are killed
     * now it is called lost, and does not run twice */
    (void)write_notes(store, at, 1);
}

unsigned spawn_launches_find(spawn_store *store, const spawn_id *id,
                             unsigned attempt, spawn_id *ret_life)
{
    spawn_part_launches *l = &store->launches;
    unsigned at = find(l, id);

    if (at == SPAWN_LAUNCHES || l->notes[at].attempt != attempt)
        return 0;
    *ret_life = l->notes[at].life;
    return take_place(l, at);
}
