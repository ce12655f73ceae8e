/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fork.h
 * @brief The C library's fork, whose child is our own or is given away.
 *
 * Runs in a template, which has one thread. Knows nothing of Perl.
 */
#ifndef SPAWN_TEMPLATE_FORK_H
#define SPAWN_TEMPLATE_FORK_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * Fork a child, by the C library's fork: all handlers of pthread_atfork run, in
 * the child and in the memory of this process.
 *
 * @param away the child is not ours: it is adopted by the nearest subreaper
 * above us, and has been when this returns in it. For us that is the spawner.
 * @return the child's pid; 0 in the child, where all signals are blocked;
 * -EOWNERDEAD: nobody can tell whether there is a child, so that this process
 * has to end; another negative errno: there is none.
 */
pid_t spawn_template_fork(bool away);

/** So many at once. */
#define SPAWN_FORK_MOST 4

/**
 * Fork some children, each as spawn_template_fork does; that costs less than
 * one after the other.
 *
 * @return which one this is, in a child; -1 in the template, with what
 * spawn_template_fork returns for each.
 */
int spawn_template_fork_some(bool away, unsigned count, pid_t *ret_pids);

/** Make sure that children that are given away do not come back to this
 * process: loaded code may have made it a subreaper. */
void spawn_template_fork_begin(void);

#endif
