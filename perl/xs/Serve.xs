/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Process::Serve: the fork of a process that is set up, and the
 * handles that it is sent. Loaded in templates, and in a process that is sent
 * its first handle or asked for its first copy. Must stay thin: serve/fork.c
 * and process/passed.c do the work.
 */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "perl/xs/process/passed.h"
#include "perl/xs/serve/fork.h"

#define MOST 65536u /* bytes that handles ride on, at a time */

/* How Perl opens such a descriptor. */
static const char *mode_of(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return "<";
    case O_WRONLY:
        return flags & O_APPEND ? ">>" : ">";
    default:
        return "+<";
    }
}

MODULE = Apache2::Spawn::Process::Serve    PACKAGE = Apache2::Spawn::Process::Serve

PROTOTYPES: DISABLE

# The copy's pid, 0 in the copy, or none, and $!.
void
_fork_with_waiter(program, told, timeout, grace)
    const char *program
    int told
    const char *timeout
    const char *grace
  PREINIT:
    spawn_serve_waiter waiter;
    pid_t pid;
  PPCODE:
    waiter.program = program;
    waiter.told = told;
    waiter.timeout = timeout;
    waiter.grace = grace;
    PERL_FLUSHALL_FOR_CHILD;
    pid = spawn_serve_fork(&waiter);
    if (pid < 0) {
        errno = -pid;
        XSRETURN_EMPTY;
    }
    if (pid == 0)
        PL_srand_called = FALSE; /* rand takes a new seed */
    mXPUSHi(pid);

# Bytes, and of each handle that rode on them the number and how it is opened; nothing, and
# $!: the end, or an error.
void
_receive(fd, most)
    int fd
    UV most
  PREINIT:
    int fds[SPAWN_PASSED_MOST];
    unsigned count = 0, i;
    SV *bytes;
    long got;
  PPCODE:
    if (most > MOST)
        most = MOST;
    bytes = sv_2mortal(newSV(most + 1));
    SvPOK_only(bytes);
    PUTBACK;
    do {
        PERL_ASYNC_CHECK();
        got = spawn_passed_receive(fd, SvPVX(bytes), most, fds, &count);
    } while (got == -EINTR);
    SPAGAIN; /* a signal's handler may have run */
    if (got <= 0) {
        errno = (int)-got;
        XSRETURN_EMPTY;
    }
    SvCUR_set(bytes, (STRLEN)got);
    *SvEND(bytes) = '\0';
    SvTAINTED_on(bytes);
    EXTEND(SP, 1 + 2 * (SSize_t)count);
    PUSHs(bytes);
    for (i = 0; i < count; i++) {
        mPUSHi(fds[i]);
        mPUSHp(mode_of(fds[i]), strlen(mode_of(fds[i])));
    }

# Bytes, and with them a handle or -1. True when they were sent.
bool
_send(fd, bytes, rider)
    int fd
    SV *bytes
    int rider
  PREINIT:
    const char *text;
    STRLEN length;
    long sent;
  CODE:
    text = SvPV(bytes, length);
    RETVAL = true;
    while (length > 0 && RETVAL) {
        sent = spawn_passed_send(fd, text, length, &rider, rider >= 0);
        if (sent == -EINTR)
            continue;
        RETVAL = sent > 0;
        if (sent > 0) {
            text += sent;
            length -= (STRLEN)sent;
            rider = -1;
        }
    }
  OUTPUT:
    RETVAL

# Two ends of a socket for packets; nothing, and $!.
void
_pair()
  PREINIT:
    int fds[2];
  PPCODE:
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        XSRETURN_EMPTY;
    EXTEND(SP, 2);
    mPUSHi(fds[0]);
    mPUSHi(fds[1]);

void
_close(fd)
    int fd
  CODE:
    (void)close(fd);

# Whether there is something to read, or the end, in so many ms.
bool
_readable(fd, ms)
    int fd
    int ms
  PREINIT:
    struct pollfd on;
  CODE:
    on.fd = fd;
    on.events = POLLIN;
    RETVAL = poll(&on, 1, ms) != 0; /* after a signal, too */
  OUTPUT:
    RETVAL

# Seconds of the clock that never jumps.
NV
_now()
  CODE:
    RETVAL = (NV)spawn_mono_ms() / 1000;
  OUTPUT:
    RETVAL

int
_pidfd(pid)
    int pid
  CODE:
    RETVAL = spawn_os_pidfd(pid);
  OUTPUT:
    RETVAL

# Kill a process, and wait until it has closed all that it had open.
void
_end(pidfd)
    int pidfd
  PREINIT:
    struct pollfd on;
  CODE:
    on.fd = pidfd;
    on.events = POLLIN;
    (void)spawn_os_pidfd_signal(pidfd, SIGKILL);
    while (poll(&on, 1, -1) < 0 && errno == EINTR)
        continue;

void
_exit()
  CODE:
    _exit(0);
