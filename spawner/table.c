/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spawner's table of jobs. Runs in the spawner only. Never shrinks, never
 * grows by more than the jobs that live at once.
 */
#include "spawner/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "common/spawn_hash.h"
#include "common/spawn_packet.h"
#include "spawner/state.h"

#define BUCKETS 16384

/* All memory that is written for each job, in one mapping that a forked child
 * does not get: the child has no use for it, and every page that we write to
 * after a fork would be copied first. */
typedef struct mapping {
    uint32_t by_id[BUCKETS];
    uint32_t by_pid[BUCKETS];
    job entries[TABLE_MAX];
    uint64_t trees[TABLE_MAX][SPAWN_RU_TREE_COUNT];
} mapping;

int table_init(void)
{
    void *map = mmap(NULL, sizeof(mapping), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        return -errno;
    (void)madvise(map, sizeof(mapping), MADV_DONTFORK);
    spawner.table.map = map;
    spawner.table.entries = spawner.table.map->entries;
    spawner.table.end = 1;
    return 0;
}

/* Callers choose the ids of their jobs. */
static uint32_t *id_bucket(const spawn_id *id)
{
    return &spawner.table.map->by_id[spawn_hash_id(id) % BUCKETS];
}

static uint32_t *pid_bucket(pid_t pid)
{
    return &spawner.table.map->by_pid[(uint32_t)pid % BUCKETS];
}

uint32_t table_index(const job *j)
{
    return (uint32_t)(j - spawner.table.entries);
}

job *table_at(uint32_t index)
{
    return &spawner.table.entries[index];
}

uint64_t *table_tree(const job *j)
{
    return spawner.table.map->trees[table_index(j)];
}

uint32_t table_end(void)
{
    return spawner.table.end;
}

static bool is_alive(job_state state)
{
    return state == JOB_STARTING || state == JOB_RUNNING;
}

uint32_t table_jobs(void)
{
    uint32_t count = 0, i;

    for (i = 1; i < spawner.table.end; i++)
        count += is_alive((job_state)spawner.table.entries[i].state)
                 && !(spawner.table.entries[i].flags
                      & (JOB_IS_TEMPLATE | JOB_IS_WORKER | JOB_GIVEN_UP));
    return count;
}

job *table_add(const spawn_id *id)
{
    uint32_t *bucket = id_bucket(id);
    uint32_t index = spawner.table.free_list;
    job *j;
    int i;

    if (index) {
        spawner.table.free_list = spawner.table.entries[index].next_id;
    }
    else {
        if (spawner.table.end == TABLE_MAX)
            return NULL;
        index = spawner.table.end++;
    }
    j = &spawner.table.entries[index];
    memset(j, 0, sizeof(*j));
    j->id = *id;
    j->start_pipe = j->link = j->group = -1;
    for (i = 0; i < SPAWN_KEEP_MAX; i++)
        j->keep[i] = -1;
    spawner.table.used++;
    j->state = JOB_STARTING;
    j->next_id = *bucket;
    *bucket = index;
    return j;
}

bool table_crowded(void)
{
    return spawner.table.used > TABLE_JOBS;
}

void table_set_pid(job *j, pid_t pid)
{
    uint32_t *bucket = pid_bucket(pid);

    j->pid = pid;
    j->next_pid = *bucket;
    *bucket = table_index(j);
}

void table_drop_pid(job *j)
{
    uint32_t *link = pid_bucket(j->pid);

    while (*link != table_index(j))
        link = &spawner.table.entries[*link].next_pid;
    *link = j->next_pid;
}

/* Take the entry out of the queue of entries with something to tell. */
static void leave_fifo(job *j)
{
    uint32_t *link = &spawner.table.fifo_head;
    uint32_t prev = 0;

    while (*link != table_index(j)) {
        prev = *link;
        link = &spawner.table.entries[*link].next_out;
    }
    *link = j->next_out;
    if (spawner.table.fifo_tail == table_index(j))
        spawner.table.fifo_tail = prev;
}

/* The broker said what they are. */
void table_close_kept(job *j)
{
    spawn_close_quick(j->keep, SPAWN_KEEP_MAX);
}

void table_remove(job *j)
{
    uint32_t *link = id_bucket(&j->id);

    if (j->flags & JOB_IN_FIFO)
        leave_fifo(j);
    while (*link != table_index(j))
        link = &spawner.table.entries[*link].next_id;
    *link = j->next_id;
    spawner.table.used--;
    j->state = JOB_FREE;
    table_close_kept(j);
    j->next_id = spawner.table.free_list;
    spawner.table.free_list = table_index(j);
}

job *table_by_id(const spawn_id *id)
{
    uint32_t i;

    for (i = *id_bucket(id); i; i = spawner.table.entries[i].next_id) {
        if (spawn_id_equal(&spawner.table.entries[i].id, id))
            return &spawner.table.entries[i];
    }
    return NULL;
}

job *table_by_pid(pid_t pid)
{
    uint32_t i;

    for (i = *pid_bucket(pid); i; i = spawner.table.entries[i].next_pid) {
        if (spawner.table.entries[i].pid == pid)
            return &spawner.table.entries[i];
    }
    return NULL;
}

void table_tell(job *j, unsigned flag)
{
    j->flags |= (uint16_t)flag;
    if (j->flags & JOB_IN_FIFO)
        return;
    j->flags |= JOB_IN_FIFO;
    j->next_out = 0;
    if (spawner.table.fifo_tail)
        spawner.table.entries[spawner.table.fifo_tail].next_out =
            table_index(j);
    else
        spawner.table.fifo_head = table_index(j);
    spawner.table.fifo_tail = table_index(j);
}

job *table_first_to_tell(void)
{
    return spawner.table.fifo_head
               ? &spawner.table.entries[spawner.table.fifo_head]
               : NULL;
}

void table_told(void)
{
    job *j = &spawner.table.entries[spawner.table.fifo_head];

    spawner.table.fifo_head = j->next_out;
    if (!spawner.table.fifo_head)
        spawner.table.fifo_tail = 0;
    j->flags &= (uint16_t)~JOB_IN_FIFO;
}

/* ---- handles of queued jobs ---- */

void held_add(const spawn_id *id, unsigned boxed, const int *fds,
              unsigned count)
{
    held *h = malloc(sizeof(*h) + count * sizeof(int));

    if (!h) {
        int all[SPAWN_FDS_MAX];

        memcpy(all, fds, count * sizeof(int));
        spawn_close_passed(all, count);
        return;
    }
    h->id = *id;
    h->boxed = boxed;
    h->count = count;
    memcpy(h->fds, fds, count * sizeof(int));
    h->next = spawner.table.held;
    spawner.table.held = h;
}

void held_remove(const spawn_id *id)
{
    held **link = &spawner.table.held;

    while (*link) {
        held *h = *link;

        if (spawn_id_equal(&h->id, id)) {
            *link = h->next;
            spawn_close_passed(h->fds, h->count);
            free(h);
            return;
        }
        link = &h->next;
    }
}

held *held_first(void)
{
    return spawner.table.held;
}
