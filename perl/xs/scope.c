/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scope of a call from Perl, and the time in it when no signal handler of
 * Perl's may run. Runs in callers. Must never leave signals off when it returns
 * to Perl.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "perl/xs/spawn_perl.h"

static void restore_errno(pTHX_ void *saved)
{
    PERL_UNUSED_CONTEXT;
    errno = (int)PTR2IV(saved);
}

void spawn_perl_enter(pTHX)
{
    ENTER;
    SAVEDESTRUCTOR_X(restore_errno, INT2PTR(void *, (IV)errno));
}

void spawn_perl_signals_off(sigset_t *ret_before)
{
    sigset_t most;

    (void)sigfillset(&most);
    (void)sigdelset(&most, SIGSEGV);
    (void)sigdelset(&most, SIGBUS);
    (void)sigdelset(&most, SIGFPE);
    (void)sigdelset(&most, SIGILL);
    (void)sigdelset(&most, SIGTRAP);
    (void)sigdelset(&most, SIGABRT);
    (void)pthread_sigmask(SIG_SETMASK, &most, ret_before);
}

void spawn_perl_signals_on(const sigset_t *before)
{
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}
