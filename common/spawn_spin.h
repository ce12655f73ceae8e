/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_spin.h
 * @brief Look for a message again and again for some microseconds, before a
 * sleep for it begins.
 *
 * Any process and thread that waits for a peer which answers at once. To wake a
 * process on an idle CPU takes 30 to 80 us, of the waker's time too; an answer
 * of a lent worker takes 10. So each process at both ends looks for as long as
 * the wake would take at most. Where that does not help (both are on one CPU,
 * the function takes longer, the next call does not come), looking costs time
 * that others want: after each vain look the next ones are left out, up to 255
 * in a row.
 *
 * Memory is the struct of each place that waits; allocates nothing, has no
 * lock.
 */
#ifndef SPAWN_SPIN_H
#define SPAWN_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#define SPAWN_SPIN_US 50 /* a look's longest time */

/** Of one place that waits. Zeros at first. */
typedef struct {
    uint8_t vain; /* how many looks are left out after a vain one */
    uint8_t skip; /* of these, still to come */
} spawn_spin;

/**
 * @return true: fd can be read, or has ended. False: wait for it; also at once,
 * when the looks before were vain.
 */
bool spawn_spin_look(spawn_spin *spin, int fd);

#endif
