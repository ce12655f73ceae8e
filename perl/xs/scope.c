/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scope of a call from Perl. Runs in callers.
 */
#include <errno.h>

#include "spawn_perl.h"

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
