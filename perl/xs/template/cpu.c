/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The notice of the CPU that a thread runs on. Runs in a process that has just
 * been forked from a vforked one; makes one system call.
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

/* The kernel writes the CPU there that a thread runs on, and undoes sequences
 * that were cut short; it forgets the place in a process that shares memory
 * with its parent, and in what that one forks. */
void spawn_template_ask_for_the_cpu(void)
{
#if defined(RSEQ_SIG) && defined(SYS_rseq)
    /* the library has a place of this size or more, and whole ones of it */
    const unsigned least = 32;
    unsigned size = (__rseq_size + least - 1) / least * least;

    if (__rseq_size)
        (void)syscall(SYS_rseq,
                      (char *)__builtin_thread_pointer() + __rseq_offset, size,
                      0, RSEQ_SIG);
#endif
}
