/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quick way to a job's process: clone(CLONE_VM). The child shares the
 * spawner's memory until it executes its program, on a stack of its own, and
 * the spawner goes on meanwhile. No page table is copied, which is most of what
 * a fork costs. Runs in the spawner; child.c runs in the child.
 *
 * All that the child reads and writes is in its room: its order, its account,
 * its stack. It must write to nothing else (spawn_raw.h). The kernel marks the
 * room (CLONE_CHILD_CLEARTID) when the child has executed its program or has
 * ended; a child that hangs before that holds one room.
 *
 * So a job needs no start pipe: that mark is looked at in each turn, and after
 * some ms without a turn. A failed step is told through one pipe of all jobs,
 * which a process that executes nothing writes to before it ends. For a caller
 * that waits for a start that is too late: such a job has a start pipe.
 *
 * While the two share their memory, the child has the account of the job. The
 * right to look into a process's memory (ptrace, /proc/PID/mem) depends on a
 * mark of the memory: it is closed to all but root, and stays closed when the
 * child changes its account, if fs.suid_dumpable is 0. With another value jobs
 * are forked. A job whose memory is limited as a whole is forked, too: when its
 * cgroup lacks memory, the kernel kills a process in there, and with it every
 * process that shares its memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_raw.h"
#include "spawner/spawner.h"

#define ROOM_LEFT   255 /* of a job: only /proc tells */
#define ROOMS       16  /* each takes some 30 KB when it is used */
#define ORDER_BYTES 16384
#define ALLOW_BYTES 4096
#define STACK_BYTES 65536 /* a tenth of it is used */
#define LOOK_FIRST  5     /* ms, from a start to the look whether it executed */
#define LOOK_MOST   100   /* ms between looks at those that hang */

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

typedef struct room {
    pid_t taken;  /* the kernel writes 0 here */
    uint32_t job; /* place in the table; 0: it has a start pipe, or none */
    child_order child;
    spawn_identity as;
    uint64_t bounding_set;
    int fds[SPAWN_FDS_MAX];
    spawn_message order;
    spawn_attr allow;
    uint8_t allow_bytes[ALLOW_BYTES];
    uint8_t bytes[ORDER_BYTES];
    _Alignas(64) uint8_t stack[STACK_BYTES];
} room;

void clone_open(void)
{
    if (pipe2(spawner.failures, O_CLOEXEC | O_NONBLOCK) < 0)
        spawner.failures[0] = spawner.failures[1] = -1; /* all have their own */
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
           && !spawn_has(m, SPAWN_A_BOXED) && !cgroup_limits_memory(m)
           && (!o->allow || o->allow->length <= ALLOW_BYTES)
           && spawn_strv_count(&m->attr[SPAWN_A_ARGV]) < CHILD_WORDS
           && spawn_strv_count(&m->attr[SPAWN_A_ENV]) < CHILD_WORDS;
}

/* ---- which of them have executed ---- */

static void begin_to_look(job *j, unsigned room_)
{
    if (spawner.clones.unseen == 0 || spawner.clones.look_wait != LOOK_FIRST) {
        spawner.clones.look_wait = LOOK_FIRST;
        spawner.clones.look_at = spawn_mono_ms() + LOOK_FIRST;
    }
    j->room = (uint8_t)room_;
    spawner.clones.unseen++;
}

static void read_failures(void)
{
    int32_t what[3]; /* pid, step, errno */

    while (read(spawner.failures[0], what, sizeof(what))
           == (ssize_t)sizeof(what)) {
        job *j = table_by_pid(what[0]);

        if (j && j->room) {
            j->step = (uint8_t)what[1];
            j->error = what[2];
        }
    }
}

/* executes: else it ends without, or nobody asks any more. */
static void seen(job *j, bool executes)
{
    j->room = 0;
    spawner.clones.unseen--;
    if (executes && !(j->flags & JOB_GIVEN_UP))
        job_executes(j);
}

static void stay_roomless(job *j)
{
    j->room = ROOM_LEFT;
    spawner.clones.roomless++;
}

/* The kernel has marked its room. A signal of ours may have ended it before it
 * executed anything, or it is in the middle of that. */
static void leave_room(room *r)
{
    job *j = table_at(r->job);

    r->job = 0;
    read_failures();
    if (j->step)
        seen(j, false);
    else if ((j->flags & JOB_SHOT) && spawn_os_only_forked(j->pid) == 1)
        stay_roomless(j);
    else
        seen(j, true);
}

static bool is_left(const room *r)
{
    return __atomic_load_n(&r->taken, __ATOMIC_ACQUIRE) == 0;
}

void clone_look(void)
{
    unsigned i;

    for (i = 0; spawner.clones.unseen > spawner.clones.roomless && i < ROOMS;
         i++) {
        if (spawner.clones.rooms[i].job && is_left(&spawner.clones.rooms[i]))
            leave_room(&spawner.clones.rooms[i]);
    }
}

static void look_at_roomless(void)
{
    uint32_t i;

    for (i = 1; spawner.clones.roomless > 0 && i < table_end(); i++) {
        job *j = table_at(i);

        if (j->room == ROOM_LEFT && spawn_os_only_forked(j->pid) == 0) {
            spawner.clones.roomless--;
            seen(j, true);
        }
    }
}

void clone_ended(job *j)
{
    if (j->room != ROOM_LEFT)
        leave_room(&spawner.clones.rooms[j->room - 1]);
    if (!j->room)
        return;
    spawner.clones.roomless--;
    read_failures();
    seen(j, !j->step && spawn_os_only_forked(j->pid) != 1);
}

int clone_timers(int64_t now)
{
    if (spawner.clones.unseen == 0)
        return -1;
    if (now >= spawner.clones.look_at) {
        look_at_roomless();
        spawner.clones.look_wait = spawner.clones.look_wait < LOOK_MOST / 2
                                       ? 2 * spawner.clones.look_wait
                                       : LOOK_MOST;
        spawner.clones.look_at = now + spawner.clones.look_wait;
    }
    return (int)(spawner.clones.look_at - now);
}

void clone_resume(job *j)
{
    begin_to_look(j, ROOM_LEFT);
    spawner.clones.roomless++;
}

/* ---- their start ---- */

/* The lowest free room, so that no more of them take memory than are used at
 * once. */
static room *free_room(void)
{
    unsigned i;

    if (!spawner.clones.rooms) {
        void *m = mmap(NULL, ROOMS * sizeof(room), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (m == MAP_FAILED)
            return NULL;
        (void)madvise(m, ROOMS * sizeof(room), MADV_DONTFORK);
        spawner.clones.rooms = m;
    }
    clone_look();
    for (i = 0; i < ROOMS; i++) {
        if (!spawner.clones.rooms[i].job && is_left(&spawner.clones.rooms[i]))
            return &spawner.clones.rooms[i];
    }
    return NULL;
}

static int run(void *arg)
{
    child_run(arg);
}

/* ---- in a cgroup from its first moment ---- */

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

/* Of clone3. */
typedef struct {
    _Alignas(8) uint64_t flags;
    uint64_t pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls,
        set_tid, set_tid_size, cgroup;
} clone_arguments;

pid_t clone_fork(const child_order *o)
{
    clone_arguments a = {.flags = CLONE_INTO_CGROUP,
                         .exit_signal = SIGCHLD,
                         .cgroup = (uint64_t)o->cgroup};
    pid_t pid;

    if (o->cgroup >= 0) {
        pid = (pid_t)syscall(SYS_clone3, &a, sizeof(a));
        if (pid >= 0) {
            *o->joined = true;
            return pid;
        }
    }
    return fork(); /* it is put there afterwards */
}

#if defined(__x86_64__) && CAN_SHARE
/* As clone of the C library. A negative errno. */
static long clone_there(clone_arguments *a, void *arg)
{
    register int (*r8)(void *) __asm__("r8") = run;
    register void *r9 __asm__("r9") = arg;
    long rv;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r9, %%rdi\n\t"
                     "call *%%r8\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(rv)
                     : "a"(SYS_clone3), "D"(a), "S"(sizeof(*a)), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return rv;
}
#else
static long clone_there(clone_arguments *a, void *arg)
{
    (void)a;
    (void)arg;
    return -ENOSYS;
}
#endif

static pid_t clone_into(room *r, int cgroup, int flags)
{
    clone_arguments a = {.flags =
                             CLONE_INTO_CGROUP | (uint64_t)(flags & ~SIGCHLD),
                         .child_tid = (uintptr_t)&r->taken,
                         .exit_signal = SIGCHLD,
                         .stack = (uintptr_t)r->stack,
                         .stack_size = STACK_BYTES,
                         .cgroup = (uint64_t)cgroup};

    return (pid_t)clone_there(&a, &r->child);
}

pid_t clone_job(job *j, const child_order *o, const spawn_packet *p,
                bool watched)
{
    const int flags = CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD;
    room *r = NULL;
    pid_t pid;

    if (fits(o, p) && stays_closed(o->as)
        && (watched || spawner.failures[0] >= 0))
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
    if (o->allow) { /* a new configuration may come while the child hangs */
        r->allow = *o->allow;
        memcpy(r->allow_bytes, o->allow->data, o->allow->length);
        r->allow.data = r->allow_bytes;
        r->child.allow = &r->allow;
    }
    if (!watched) {
        r->child.report = spawner.failures[1];
        r->child.common = true;
    }
    r->taken = 1;
    if (o->cgroup < 0)
        pid = clone(run, r->stack + STACK_BYTES, flags, &r->child, NULL, NULL,
                    &r->taken);
    else
        pid = clone_into(r, o->cgroup, flags);
    if (pid > 0 && o->cgroup >= 0)
        *o->joined = true;
    if (pid < 0) {
        r->taken = 0;
        return 0; /* the fork tells what is wrong, or forbids it */
    }
    if (!watched) {
        r->job = table_index(j);
        begin_to_look(j, (unsigned)(r - spawner.clones.rooms) + 1);
    }
    return pid;
}
