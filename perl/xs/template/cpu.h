/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cpu.h
 * @brief What a process loses by being forked from one that shares its memory
 * with its parent, and the C library does not renew.
 */
#ifndef SPAWN_TEMPLATE_CPU_H
#define SPAWN_TEMPLATE_CPU_H

/** In the child of a fork in a vforked process: the kernel writes the CPU that
 * a thread runs on (rseq) into this memory again. */
void spawn_template_ask_for_the_cpu(void);

#endif
