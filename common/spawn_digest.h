/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_digest.h
 * @brief The digest that tells an order from another one with the same id.
 */
#ifndef SPAWN_DIGEST_H
#define SPAWN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

/** A hash of all attributes but REPLY and CONTEXT: another request may ask for
 * the same job. */
uint64_t spawn_digest(const void *attrs, size_t length);

#endif
