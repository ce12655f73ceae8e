/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has the kernel write the CPU that a thread runs on (rseq). Runs in a process
 * that has just been forked from a vforked one. Must make no other system call.
 */
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__has_include)
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#endif

#include "perl/xs/template/cpu.h"

/* The kernel writes there on which CPU a thread runs, and undoes sequences that
 * were cut short. It forgets the place in a process that shares its parent's
 * memory, and in what such a process forks. */
void spawn_template_ask_for_the_cpu(void)
{
#if defined(RSEQ_SIG) && defined(SYS_rseq)
    /* the library's place has this size, or a multiple of it */
    const unsigned least = 32;
    unsigned size = (__rseq_size + least - 1) / least * least;

    if (__rseq_size)
        (void)syscall(SYS_rseq,
                      (char *)__builtin_thread_pointer() + __rseq_offset, size,
                      0, RSEQ_SIG);
#endif
}
