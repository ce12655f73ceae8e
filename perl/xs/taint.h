/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file taint.h
 * @brief Values from another process are tainted, where Perl minds (-T).
 *
 * Runs in callers, and in jobs of a template whose Perl minds.
 */
#ifndef SPAWN_PERL_TAINT_H
#define SPAWN_PERL_TAINT_H

#include <stdbool.h>

#ifndef PERL_NO_GET_CONTEXT
#define PERL_NO_GET_CONTEXT
#endif
#include "EXTERN.h"
#include "perl.h"
#include "XSUB.h"

/** Taint a value and all that it refers to. Does nothing without -T. */
void spawn_perl_taint(pTHX_ SV *sv);

#endif
