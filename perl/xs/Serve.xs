/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache2::Spawn::Process::Serve: the fork of a process that is set up. Loaded
 * in templates, and in a process that is asked for its first copy; runs in a
 * process that is copied. Must stay thin: serve/fork.c does the work.
 */
#define PERL_NO_GET_CONTEXT
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

#include "perl/xs/serve/fork.h"

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
