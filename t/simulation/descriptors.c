/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of the simulated kernel (kernel.h), and the calls that each kind
 * of descriptor takes. Called by broker and world in the place of the C
 * library's functions (--wrap).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "t/simulation/body.h"
#include "t/simulation/kernel.h"

#define FIRST   100000 /* of the broker; */
#define MANY    2048
#define FIXED   WORLD_FDS /* and those that got a number of their own */
#define POLLED  512
#define DEVICE  0x5151
#define BY_BODY 0 /* index of the broker's, */
#define BY_REST 1 /* and of the world's */

/* The names that --wrap gives. */
int __real_close(int fd);
int __wrap_close(int fd);
int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __real_dup3(int fd, int as, int flags);
int __wrap_dup3(int fd, int as, int flags);
int __real_fstat(int fd, struct stat *ret);
int __wrap_fstat(int fd, struct stat *ret);
int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
ssize_t __real_read(int fd, void *data, size_t room);
ssize_t __wrap_read(int fd, void *data, size_t room);
ssize_t __real_write(int fd, const void *data, size_t length);
ssize_t __wrap_write(int fd, const void *data, size_t length);
int __real_poll(struct pollfd *fds, nfds_t count, int ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int ms);
int __real_ioctl(int fd, unsigned long what, ...);
int __wrap_ioctl(int fd, unsigned long what, ...);
int __real_ftruncate(int fd, off_t size);
int __wrap_ftruncate(int fd, off_t size);
off_t __real_lseek(int fd, off_t to, int whence);
off_t __wrap_lseek(int fd, off_t to, int whence);
ssize_t __real_pread(int fd, void *data, size_t room, off_t at);
ssize_t __wrap_pread(int fd, void *data, size_t room, off_t at);
ssize_t __real_pwrite(int fd, const void *data, size_t length, off_t at);
ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t at);
ssize_t __real_splice(int from, off_t *from_at, int to, off_t *to_at,
                      size_t most, unsigned flags);
ssize_t __wrap_splice(int from, off_t *from_at, int to, off_t *to_at,
                      size_t most, unsigned flags);

static thing *fixed[FIXED];
static thing *numbers[2][MANY];
static unsigned full_to[2]; /* all below this are in use */
static unsigned used_to[2]; /* none from here on is */

void thing_cannot(const char *what)
{
    (void)printf("the simulated kernel: %s\n", what);
    (void)fflush(stdout);
    __builtin_trap();
}

int thing_error(int error)
{
    errno = error;
    return -1;
}

/* ---- numbers ---- */

static thing **place_of(int fd)
{
    unsigned at = (unsigned)(fd - FIRST);

    if (fd < 0)
        return NULL;
    if (fd < FIXED)
        return &fixed[fd];
    return fd >= FIRST && at < 2 * MANY ? &numbers[at / MANY][at % MANY] : NULL;
}

thing *thing_of(int fd)
{
    thing **place = place_of(fd);

    return place ? *place : NULL;
}

thing *thing_like(int fd, const thing_kind *kind)
{
    thing *t = thing_of(fd);

    return t && t->kind == kind ? t : NULL;
}

static int number_for(thing *t, unsigned whose)
{
    unsigned i = full_to[whose];

    while (i < MANY && numbers[whose][i])
        i++;
    if (i == MANY)
        thing_cannot("too many descriptors");
    numbers[whose][i] = t;
    full_to[whose] = i + 1;
    if (used_to[whose] <= i)
        used_to[whose] = i + 1;
    return FIRST + (int)(whose * MANY + i);
}

int thing_number(thing *t)
{
    return number_for(t, body_at_work() ? BY_BODY : BY_REST);
}

void thing_use(thing *t)
{
    t->uses++;
}

void thing_leave(thing *t)
{
    if (--t->uses == 0)
        t->kind->last_close(t);
}

static void let_go(int fd, thing **place)
{
    thing *t = *place;
    unsigned at = (unsigned)(fd - FIRST);

    *place = NULL;
    if (fd >= FIRST && full_to[at / MANY] > at % MANY)
        full_to[at / MANY] = at % MANY;
    thing_leave(t);
}

void things_close(void)
{
    unsigned i;

    for (i = STDERR_FILENO + 1; i < FIXED; i++) {
        if (fixed[i])
            let_go((int)i, &fixed[i]);
    }
    for (i = 0; i < used_to[BY_BODY]; i++) {
        if (numbers[BY_BODY][i])
            let_go(FIRST + (int)i, &numbers[BY_BODY][i]);
    }
    used_to[BY_BODY] = 0;
}

/* ---- calls ---- */

int __wrap_close(int fd)
{
    thing **place = place_of(fd);

    if (!place || !*place)
        return fd < 0 ? thing_error(EBADF) : __real_close(fd);
    let_go(fd, place);
    return 0;
}

int __wrap_dup3(int fd, int as, int flags)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_dup3(fd, as, flags);
    if (as < 0 || as >= FIXED)
        thing_cannot("a number of this kind is not given");
    thing_use(t);
    if (fixed[as])
        let_go(as, &fixed[as]);
    fixed[as] = t;
    return as;
}

/* Nobody else has a lock. */
static int control(thing *t, int what, void *with)
{
    int number = (int)(intptr_t)with;

    switch (what) {
    case F_GETLK:
        ((struct flock *)with)->l_type = F_UNLCK;
        return 0;
    case F_SETLK:
        return 0;
    case F_DUPFD_CLOEXEC:
        thing_use(t);
        return number >= WORLD_FDS ? number_for(t, BY_REST) : thing_number(t);
    case F_GETFL:
        return O_RDWR;
    case F_SETFL:
        return 0;
    case F_GETPIPE_SZ:
        return S_ISFIFO(t->kind->mode) ? 65536 : thing_error(EBADF);
    case F_ADD_SEALS:
    case F_GET_SEALS:
        return memfd_control(t, what, number);
    default:
        thing_cannot("an fcntl that it does not know");
    }
}

/* Of locks the third one is a pointer. */
int __wrap_fcntl(int fd, int what, ...)
{
    thing *t = thing_of(fd);
    va_list more;
    void *with;

    va_start(more, what);
    with = va_arg(more, void *);
    va_end(more);
    return t ? control(t, what, with) : __real_fcntl(fd, what, with);
}

int __wrap_fstat(int fd, struct stat *ret)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_fstat(fd, ret);
    memset(ret, 0, sizeof(*ret));
    ret->st_dev = DEVICE;
    ret->st_ino = (ino_t)(uintptr_t)t;
    ret->st_mode = t->kind->mode;
    ret->st_nlink = 1;
    if (t->kind->stat)
        t->kind->stat(t, ret);
    return 0;
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return thing_of(fd) ? 0 : __real_fchmod(fd, mode);
}

ssize_t __wrap_read(int fd, void *data, size_t room)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_read(fd, data, room);
    return t->kind->read ? t->kind->read(t, data, room) : thing_error(EBADF);
}

ssize_t __wrap_write(int fd, const void *data, size_t length)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_write(fd, data, length);
    return t->kind->write ? t->kind->write(t, data, length)
                          : thing_error(EBADF);
}

ssize_t __wrap_pread(int fd, void *data, size_t room, off_t at)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_pread(fd, data, room, at);
    return t->kind->read_at ? t->kind->read_at(t, data, room, (size_t)at)
                            : thing_error(ESPIPE);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t length, off_t at)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_pwrite(fd, data, length, at);
    return t->kind->write_at ? t->kind->write_at(t, data, length, (size_t)at)
                             : thing_error(ESPIPE);
}

int __wrap_ftruncate(int fd, off_t size)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_ftruncate(fd, size);
    return t->kind->resize ? t->kind->resize(t, (size_t)size)
                           : thing_error(EINVAL);
}

off_t __wrap_lseek(int fd, off_t to, int whence)
{
    thing *t = thing_of(fd);

    if (!t)
        return __real_lseek(fd, to, whence);
    if (!t->kind->place)
        return thing_error(ESPIPE);
    if (whence != SEEK_SET)
        thing_cannot("it seeks from the begin only");
    *t->kind->place(t) = (size_t)to;
    return to;
}

int __wrap_ioctl(int fd, unsigned long what, ...)
{
    thing *t = thing_of(fd);
    va_list more;
    void *with;

    va_start(more, what);
    with = va_arg(more, void *);
    va_end(more);
    if (!t)
        return __real_ioctl(fd, what, with);
    if (what != FIONREAD)
        thing_cannot("an ioctl that it does not know");
    *(int *)with = pipe_holds(t);
    return 0;
}

/* The broker has another way. */
ssize_t __wrap_splice(int from, off_t *from_at, int to, off_t *to_at,
                      size_t most, unsigned flags)
{
    if (thing_of(from) || thing_of(to))
        return thing_error(ENOSYS);
    return __real_splice(from, from_at, to, to_at, most, flags);
}

/* ---- poll ---- */

static int look(struct pollfd *p, const thing *t)
{
    p->revents = (short)(t->kind->ready((thing *)(uintptr_t)t)
                         & (p->events | POLLERR | POLLHUP));
    return p->revents != 0;
}

/* The real kernel is asked once for all that are its own. */
static int poll_real(struct pollfd *fds, nfds_t count)
{
    struct pollfd its[POLLED];
    nfds_t used = 0, i;
    int ready;

    if (count > POLLED)
        thing_cannot("a poll of too many");
    for (i = 0; i < count; i++) {
        if (fds[i].fd >= 0 && !thing_of(fds[i].fd))
            its[used++] = fds[i];
    }
    if (used == 0)
        return 0;
    ready = __real_poll(its, used, 0);
    for (i = used = 0; i < count; i++) {
        if (fds[i].fd >= 0 && !thing_of(fds[i].fd))
            fds[i].revents = its[used++].revents;
    }
    return ready < 0 ? 0 : ready;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
    int ready = 0;
    nfds_t i;

    if (ms != 0)
        return __real_poll(fds, count, ms);
    for (i = 0; i < count; i++) {
        const thing *t = thing_of(fds[i].fd);

        fds[i].revents = 0;
        if (t)
            ready += look(&fds[i], t);
    }
    return ready + poll_real(fds, count);
}
