/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file clone.h
 * @brief A fork whose child is our parent's child, or our own.
 *
 * Runs in a template, which has one thread. Knows nothing of Perl.
 */
#ifndef SPAWN_TEMPLATE_CLONE_H
#define SPAWN_TEMPLATE_CLONE_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * Fork a child of our own parent, or of ours. In the child the C library knows
 * its new thread id where the kernel or a look into the library's memory tells
 * where it keeps it; handlers of pthread_atfork do not run. All signals are
 * blocked in both when it returns to the child; the parent has its mask back.
 * @return the child's pid, 0 in the child, a negative errno.
 */
pid_t spawn_template_clone(bool to_parent);

#endif
