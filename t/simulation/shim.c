/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the simulated broker has in the place of clocks, processes, the closer
 * and the disk. Linked with --wrap, or in the place of the real ones; runs in
 * the broker. Nothing here may reach a real process: the pids that the world
 * tells of are made up.
 *
 * A broker is killed at points: before and after whatever others can see of it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include <sqlite3.h>

#include "common/spawn_closer.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/caller/inbox.h"
#include "t/simulation/world.h"

/* The names that --wrap gives. */
int64_t __wrap_spawn_mono_ms(void);
int64_t __wrap_spawn_mono_us(void);
int64_t __wrap_spawn_boot_ms(void);
int64_t __wrap_spawn_wall_ms(void);
int __wrap_spawn_os_pidfd(pid_t pid);
bool __wrap_spawn_os_hangs(pid_t pid);
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
void __real_spawn_spool_remove(const spawn_id *id);
void __wrap_spawn_spool_remove(const spawn_id *id);
int __real_sqlite3_step(sqlite3_stmt *s);
int __wrap_sqlite3_step(sqlite3_stmt *s);

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
    return board->mono_ms;
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

static bool in_life; /* not in the world, which has the same functions */

bool life_ends_here(void)
{
    return in_life && ++board->points == board->die_at;
}

void life_point(void)
{
    if (life_ends_here())
        _exit(DIED_AT_POINT);
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

void __wrap_spawn_spool_remove(const spawn_id *id)
{
    life_point();
    __real_spawn_spool_remove(id);
    life_point();
}

int __wrap_sqlite3_step(sqlite3_stmt *s)
{
    int rv;

    if (sqlite3_stmt_readonly(s))
        return __real_sqlite3_step(s);
    life_point();
    rv = __real_sqlite3_step(s);
    life_point();
    return rv;
}

/* ---- the disk ---- */

static sqlite3_vfs disk;
static sqlite3_vfs *real_disk;

static struct {
    const sqlite3_io_methods *real;
    sqlite3_io_methods ours;
} methods[8];

static const sqlite3_io_methods *real_methods(const sqlite3_file *f)
{
    unsigned i;

    for (i = 0; f->pMethods != &methods[i].ours; i++)
        ;
    return methods[i].real;
}

static bool one_fails(void)
{
    return board->fail_in > 0 && --board->fail_in == 0;
}

static int write_file(sqlite3_file *f, const void *data, int length,
                      sqlite3_int64 at)
{
    const sqlite3_io_methods *m = real_methods(f);
    sqlite3_int64 size = 0, more;

    life_point();
    if (board->store == STORE_BROKEN || one_fails())
        return SQLITE_IOERR_WRITE;
    if (board->store == STORE_FULL) {
        if (m->xFileSize(f, &size) != SQLITE_OK)
            return SQLITE_FULL;
        more = at + length > size ? at + length - size : 0;
        if (more > board->room)
            return SQLITE_FULL;
        board->room -= more;
    }
    if (life_ends_here()) {
        (void)m->xWrite(f, data, length / 2, at);
        _exit(DIED_AT_POINT);
    }
    return m->xWrite(f, data, length, at);
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
                     int flags, int *ret_flags)
{
    int rv = real_disk->xOpen(real_disk, name, f, flags, ret_flags);
    unsigned i;

    (void)vfs;
    if (rv != SQLITE_OK || !f->pMethods)
        return rv;
    for (i = 0; methods[i].real && methods[i].real != f->pMethods; i++)
        ;
    methods[i].real = f->pMethods;
    methods[i].ours = *f->pMethods;
    methods[i].ours.xWrite = write_file;
    f->pMethods = &methods[i].ours;
    return rv;
}

/* In the world: all lives have it from there. */
void store_shim_open(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    real_disk = sqlite3_vfs_find(NULL);
    disk = *real_disk;
    disk.zName = "simulation";
    disk.xOpen = open_file;
    (void)sqlite3_vfs_register(&disk, 1);
}

void life_begins(void)
{
    in_life = true;
}
