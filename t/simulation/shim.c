/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulated broker has in the place of clocks, processes and the
 * closer. Linked with --wrap, or in the place of the real ones; runs in
 * the broker. Nothing here may reach a real process: the pids that the world
 * tells of are made up.
 *
 * A broker is killed at points: before and after whatever others can see of it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_closer.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/caller/inbox.h"
#include "broker/caller/submit.h"
#include "broker/process/worker.h"
#include "t/simulation/body.h"
#include "t/simulation/crons.h"
#include "t/simulation/durable.h"
#include "t/simulation/workers.h"

/* The names that --wrap gives. */
pid_t __real_getsid(pid_t pid);
pid_t __wrap_getsid(pid_t pid);
pid_t __real_getpid(void);
pid_t __wrap_getpid(void);
uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
gid_t __real_getegid(void);
gid_t __wrap_getegid(void);
uid_t __real_getuid(void);
uid_t __wrap_getuid(void);
gid_t __real_getgid(void);
gid_t __wrap_getgid(void);
int64_t __wrap_spawn_mono_ms(void);
int64_t __wrap_spawn_mono_us(void);
int64_t __wrap_spawn_boot_ms(void);
int64_t __wrap_spawn_wall_ms(void);
int __wrap_spawn_os_clock_steps(void);
int __wrap_spawn_os_pidfd(pid_t pid);
bool __wrap_spawn_os_hangs(pid_t pid);
uint64_t __wrap_spawn_os_resident(pid_t pid);
int __wrap_spawn_os_pidfd_signal(int pidfd, int signo);
int __wrap_spawn_os_group_signal(int pidfd, pid_t group, int signo);
void __wrap_spawn_os_group_end(pid_t group, int64_t lived_boot_ms);
int __real_spawn_packet_send(int sock, const void *message, size_t length,
                             const int *given, unsigned count);
int __wrap_spawn_packet_send(int sock, const void *message, size_t length,
                             const int *given, unsigned count);
int __real_spawn_packet_receive(int sock, void *buffer, size_t room,
                                spawn_packet *ret);
int __wrap_spawn_packet_receive(int sock, void *buffer, size_t room,
                                spawn_packet *ret);
int __real_spawn_packet_receive_with(int sock, void *buffer, size_t room,
                                     spawn_packet_control *control,
                                     spawn_packet *ret);
int __wrap_spawn_packet_receive_with(int sock, void *buffer, size_t room,
                                     spawn_packet_control *control,
                                     spawn_packet *ret);
unsigned __real_spawn_inbox_put(const void *message, size_t length);
unsigned __wrap_spawn_inbox_put(const void *message, size_t length);
void __real_spawn_inbox_launched(unsigned slot, const spawn_inbox_note *note);
void __wrap_spawn_inbox_launched(unsigned slot, const spawn_inbox_note *note);
void __real_spawn_inbox_ends(unsigned slot, const spawn_job *of);
void __wrap_spawn_inbox_ends(unsigned slot, const spawn_job *of);
void __real_spawn_inbox_free(unsigned slot);
void __wrap_spawn_inbox_free(unsigned slot);
void __real_spawn_inbox_leave(spawn_job *of);
void __wrap_spawn_inbox_leave(spawn_job *of);
void __real_spawn_inbox_waits_again(spawn_job *of);
void __wrap_spawn_inbox_waits_again(spawn_job *of);
void __real_spawn_spool_remove(const spawn_id *id);
void __wrap_spawn_spool_remove(const spawn_id *id);

uint64_t __wrap_spawn_digest(const void *attrs, size_t length);
int __wrap_sched_yield(void);
int __wrap_spawn_id_make(spawn_id *ret);
ssize_t __wrap_getrandom(void *room, size_t size, unsigned flags);
int __wrap_fsync(int fd);
int __real_spawn_worker_send(spawn_worker *w, const spawn_job *of,
                             const spawn_message *m, const spawn_body *body);
int __wrap_spawn_worker_send(spawn_worker *w, const spawn_job *of,
                             const spawn_message *m, const spawn_body *body);
void __real_spawn_worker_signal(spawn_worker *w, int signo, unsigned left);
void __wrap_spawn_worker_signal(spawn_worker *w, int signo, unsigned left);
int __wrap_spawn_os_boot_id(char *text);
int __real_spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                            bool record, spawn_failure *why);
int __wrap_spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                            bool record, spawn_failure *why);

/* ---- who it is ---- */

/* The kernel need not be asked each time: it is always the same. */
#define ALWAYS(type, name)                                                     \
    type __wrap_##name(void)                                                   \
    {                                                                          \
        static type is = (type)-1;                                             \
                                                                               \
        if (is == (type)-1)                                                    \
            is = __real_##name();                                              \
        return is;                                                             \
    }

ALWAYS(pid_t, getpid)
ALWAYS(uid_t, getuid)
ALWAYS(uid_t, geteuid)
ALWAYS(gid_t, getgid)
ALWAYS(gid_t, getegid)

/* Callers are of no job, wherever this program was started. */
pid_t __wrap_getsid(pid_t pid)
{
    return body_at_work() ? 0 : __real_getsid(pid);
}

/* ---- clocks ---- */

int64_t __wrap_spawn_mono_ms(void)
{
    return board->mono_ms;
}

int64_t __wrap_spawn_mono_us(void)
{
    return board->mono_ms * 1000;
}

int64_t __wrap_spawn_boot_ms(void)
{
    return board->mono_ms - board->boot_began;
}

int __wrap_spawn_os_clock_steps(void)
{
    return -ENOSYS; /* so the broker looks from time to time */
}

int64_t __wrap_spawn_wall_ms(void)
{
    return board->wall_ms;
}

/* ---- processes: there are none ---- */

int __wrap_spawn_os_pidfd(pid_t pid)
{
    (void)pid;
    return -ESRCH;
}

uint64_t __wrap_spawn_os_resident(pid_t pid)
{
    (void)pid;
    return 0;
}

bool __wrap_spawn_os_hangs(pid_t pid)
{
    (void)pid;
    return false;
}

int __wrap_spawn_os_pidfd_signal(int pidfd, int signo)
{
    (void)pidfd;
    (void)signo;
    return -ESRCH;
}

int __wrap_spawn_os_group_signal(int pidfd, pid_t group, int signo)
{
    (void)pidfd;
    (void)group;
    (void)signo;
    return -ESRCH;
}

void __wrap_spawn_os_group_end(pid_t group, int64_t lived_boot_ms)
{
    (void)group;
    (void)lived_boot_ms;
}

/* ---- what would take long ---- */

/* The coming text of the ticket cannot be seen from outside. */
int __wrap_spawn_worker_send(spawn_worker *w, const spawn_job *of,
                             const spawn_message *m, const spawn_body *body)
{
    job *j = job_find(&of->id);

    if (j) {
        j->given_by = lives;
        j->given_to = w->id;
        j->given_ms = board->mono_ms;
    }
    return __real_spawn_worker_send(w, of, m, body);
}

/* Nor which call it is about. */
void __wrap_spawn_worker_signal(spawn_worker *w, int signo, unsigned left)
{
    if (w->job)
        workers_signal_is_for(&w->id, job_find(&w->job->id));
    __real_spawn_worker_signal(w, signo, left);
}

/* That a run is due is seen here first. Only those of a schedule are recorded
 * when they are refused. */
int __wrap_spawn_submit_own(spawn_batch *batch, const void *data, size_t length,
                            bool record, spawn_failure *why)
{
    uint64_t die_at = board->die_at;
    spawn_message m;
    int rv;

    if (with_durable) /* nobody would know what the scribe was sent of it */
        board->die_at = 0;
    rv = __real_spawn_submit_own(batch, data, length, record, why);
    board->die_at =
        die_at && die_at <= board->points ? board->points + 1 : die_at;
    if (rv == SPAWN_OWN_TAKEN
        && spawn_message_parse(data, length, SPAWN_FROM_CALLER, 0, &m, NULL)
               == 0)
        crons_submitted(&m, record);
    return rv;
}

int __wrap_spawn_os_boot_id(char *text)
{
    (void)snprintf(text, 37, "5a11ab1e-0000-4000-8000-%012u", board->boot + 1);
    return 0;
}

/* Where jobs lie in tables: a seed has the same run each time. */
ssize_t __wrap_getrandom(void *room, size_t size, unsigned flags)
{
    (void)flags;
    memset(room, 42, size);
    return (ssize_t)size;
}

/* The disk is played: nobody waits for a real one. */
int __wrap_fsync(int fd)
{
    (void)fd;
    return 0;
}

/* Its ids come from the seed, too. */
int __wrap_spawn_id_make(spawn_id *ret)
{
    uint64_t ms = (uint64_t)board->wall_ms;
    int i;

    for (i = 0; i < SPAWN_ID_SIZE; i++) {
        board->ids = board->ids * 6364136223846793005u + 1442695040888963407u;
        ret->bytes[i] = i < 6 ? (uint8_t)(ms >> (8 * (5 - i)))
                              : (uint8_t)(board->ids >> 40);
    }
    ret->bytes[6] = (uint8_t)(0x70 | (ret->bytes[6] & 0x0f));
    ret->bytes[8] = (uint8_t)(0x80 | (ret->bytes[8] & 0x3f));
    return 0;
}

/* There is nobody to yield to. */
int __wrap_sched_yield(void)
{
    return 0;
}

#define PRIME 0x100000001b3u

/* A zero is a multiplication, so those of a block are one. */
static uint64_t mix(uint64_t hash, const uint8_t *p, size_t length)
{
    static const uint8_t zeros[256];
    uint64_t block = PRIME;
    unsigned i;

    for (i = 1; i < sizeof(zeros); i *= 2)
        block *= block;
    while (length > 0) {
        if (length >= sizeof(zeros) && memcmp(p, zeros, sizeof(zeros)) == 0) {
            hash *= block;
            p += sizeof(zeros);
            length -= sizeof(zeros);
        }
        else {
            hash = (hash ^ *p++) * PRIME;
            length--;
        }
    }
    return hash;
}

/* The same digest, of data that is mostly zeros. */
uint64_t __wrap_spawn_digest(const void *attrs, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;
    spawn_reader r;
    spawn_attr a;

    spawn_reader_init(&r, attrs, length);
    while (spawn_reader_next(&r, &a) == 1) {
        if (a.id != SPAWN_A_REPLY && a.id != SPAWN_A_CONTEXT)
            hash = mix(hash, a.data - SPAWN_WIRE_ATTR_HEADER,
                       SPAWN_WIRE_ATTR_HEADER + (size_t)a.length);
    }
    return hash;
}

/* ---- the closer: it closes ---- */

void spawn_closer_give(int fd, uid_t owner)
{
    (void)owner;
    if (fd >= 0)
        (void)close(fd);
}

void spawn_closer_give_socket(int fd, uid_t owner)
{
    char bytes[64];

    (void)owner;
    while (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
    (void)close(fd);
}

unsigned spawn_closer_waiting(uid_t owner)
{
    (void)owner;
    return 0;
}

/* ---- where it can be killed ---- */

bool life_ends_here(void)
{
    return body_at_work() && ++board->points == board->die_at;
}

void life_dies(void)
{
    _exit(DIED_AT_POINT);
}

void life_point(void)
{
    if (life_ends_here())
        life_dies();
}

int __wrap_spawn_packet_send(int sock, const void *message, size_t length,
                             const int *given, unsigned count)
{
    int rv;

    life_point();
    rv = __real_spawn_packet_send(sock, message, length, given, count);
    life_point();
    return rv;
}

int __wrap_spawn_packet_receive(int sock, void *buffer, size_t room,
                                spawn_packet *ret)
{
    int rv = __real_spawn_packet_receive(sock, buffer, room, ret);

    if (rv == 1)
        life_point();
    return rv;
}

/* Of a post: it is in its slot. */
int __wrap_spawn_packet_receive_with(int sock, void *buffer, size_t room,
                                     spawn_packet_control *control,
                                     spawn_packet *ret)
{
    int rv = __real_spawn_packet_receive_with(sock, buffer, room, control, ret);

    if (rv == 1)
        life_point();
    return rv;
}

unsigned __wrap_spawn_inbox_put(const void *message, size_t length)
{
    unsigned slot = __real_spawn_inbox_put(message, length);

    life_point();
    return slot;
}

void __wrap_spawn_inbox_launched(unsigned slot, const spawn_inbox_note *note)
{
    life_point();
    __real_spawn_inbox_launched(slot, note);
    life_point();
}

void __wrap_spawn_inbox_ends(unsigned slot, const spawn_job *of)
{
    life_point();
    __real_spawn_inbox_ends(slot, of);
    life_point();
}

void __wrap_spawn_inbox_free(unsigned slot)
{
    life_point();
    __real_spawn_inbox_free(slot);
    life_point();
}

void __wrap_spawn_inbox_leave(spawn_job *of)
{
    life_point();
    __real_spawn_inbox_leave(of);
    life_point();
}

void __wrap_spawn_inbox_waits_again(spawn_job *of)
{
    life_point();
    __real_spawn_inbox_waits_again(of);
    life_point();
}

void __wrap_spawn_spool_remove(const spawn_id *id)
{
    life_point();
    __real_spawn_spool_remove(id);
    life_point();
}
