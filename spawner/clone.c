/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick way to a job's process: clone(CLONE_VM). The child shares the
 * spawner's memory until it executes its program, on a stack of its own, and
 * the spawner goes on meanwhile. No page table is copied, which is most of what
 * a fork costs. Runs in the spawner; child.c runs in the child.
 *
 * All that the child reads and writes is in its room: its order, its account,
 * its stack. It must write to nothing else (spawn_raw.h). The kernel marks the
 * room free when the child has executed its program or has ended; a child that
 * hangs before that holds one room.
 *
 * While the two share their memory, the child has the account of the job. The
 * right to look into a process's memory (ptrace, /proc/PID/mem) depends on a
 * mark of the memory: it is closed to all but root, and stays closed when the
 * child changes its account, if fs.suid_dumpable is 0. With another value jobs
 * are forked.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "common/spawn_raw.h"
#include "spawner/spawner.h"

#define ROOMS       16 /* each takes some 30 KB when it is used */
#define ORDER_BYTES 16384
#define STACK_BYTES 65536 /* a tenth of it is used */

#if defined(__SANITIZE_ADDRESS__)
#define CAN_SHARE 0 /* its notes about stacks would be shared, too */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CAN_SHARE 0
#endif
#endif
#ifndef CAN_SHARE
#define CAN_SHARE SPAWN_RAW_IS_PURE
#endif

typedef struct {
    pid_t taken; /* the kernel writes 0 here */
    child_order child;
    spawn_identity as;
    uint64_t bounding_set;
    int fds[SPAWN_FDS_MAX];
    spawn_message order;
    uint8_t bytes[ORDER_BYTES];
    _Alignas(64) uint8_t stack[STACK_BYTES];
} room;

static room *rooms;

void clone_open(void)
{
    spawner.suid_dumpable =
        open("/proc/sys/fs/suid_dumpable", O_RDONLY | O_CLOEXEC);
}

/* Does a change of account leave the memory closed? */
static bool stays_closed(const spawn_identity *as)
{
    char value;

    return as->groups_count < 0
           || (pread(spawner.suid_dumpable, &value, 1, 0) == 1 && value == '0');
}

static bool fits(const child_order *o, const spawn_packet *p)
{
    const spawn_message *m = o->order;

    return CAN_SHARE && o->link < 0 && !p->map && p->length <= ORDER_BYTES
           && !spawn_has(m, SPAWN_A_BOXED)
           && spawn_strv_count(&m->attr[SPAWN_A_ARGV]) < CHILD_WORDS
           && spawn_strv_count(&m->attr[SPAWN_A_ENV]) < CHILD_WORDS;
}

/* The lowest free room, so that no more of them take memory than are used at
 * once. */
static room *free_room(void)
{
    unsigned i;

    if (!rooms) {
        void *m = mmap(NULL, ROOMS * sizeof(room), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (m == MAP_FAILED)
            return NULL;
        (void)madvise(m, ROOMS * sizeof(room), MADV_DONTFORK);
        rooms = m;
    }
    for (i = 0; i < ROOMS; i++) {
        if (__atomic_load_n(&rooms[i].taken, __ATOMIC_ACQUIRE) == 0)
            return &rooms[i];
    }
    return NULL;
}

static int run(void *arg)
{
    child_run(arg);
}

pid_t clone_job(const child_order *o, const spawn_packet *p)
{
    const int flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
    room *r = NULL;
    pid_t pid;

    if (fits(o, p) && stays_closed(o->as))
        r = free_room();
    if (!r)
        return 0;
    memcpy(r->bytes, p->data, p->length);
    /* it was parsed before, with the same result */
    if (spawn_message_parse(r->bytes, p->length, SPAWN_FROM_BROKER_TO_SPAWNER,
                            p->fds_count, &r->order, NULL)
        < 0)
        return 0;
    memcpy(r->fds, o->fds, p->fds_count * sizeof(r->fds[0]));
    r->as = *o->as;
    r->child = *o;
    r->child.order = &r->order;
    r->child.fds = r->fds;
    r->child.as = &r->as;
    if (o->bounding_set) {
        r->bounding_set = *o->bounding_set;
        r->child.bounding_set = &r->bounding_set;
    }
    r->taken = 1;
    pid = clone(run, r->stack + STACK_BYTES, flags, &r->child, NULL, NULL,
                &r->taken);
    if (pid < 0) {
        r->taken = 0;
        return 0; /* what is wrong, or forbids it, is told of the fork */
    }
    return pid;
}
