/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file inner_malloc.c
 * @brief A library that looks as if it had a jemalloc inside, for itself alone.
 */
#include <stdlib.h>

void *je_malloc(size_t size);

void *je_malloc(size_t size)
{
    return malloc(size);
}
