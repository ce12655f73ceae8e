/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cpu.h
 * @brief A registration that is lost when a process is forked from one that
 * shares its parent's memory, and that the C library does not renew.
 */
#ifndef SPAWN_TEMPLATE_CPU_H
#define SPAWN_TEMPLATE_CPU_H

/** In the child of a fork in a vforked process: the kernel writes the CPU that
 * a thread runs on (rseq) into this memory again. */
void spawn_template_ask_for_the_cpu(void);

#endif
