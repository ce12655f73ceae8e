/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file proof.h
 * @brief Proof that this httpd has said something: a text that nobody else can
 * make, the same in all of its children and after a restart.
 *
 * Runs in httpd children, in any thread.
 */
#ifndef SPAWN_PROOF_H
#define SPAWN_PROOF_H

#include "module/module.h"

/** Digits, with the NUL. */
#define SPAWN_PROOF_TEXT 41

/**
 * @param parts what is said. The first one says what for, and no other use of
 * proofs begins with it.
 * @return false when this process has no secret: httpd is just starting.
 */
bool spawn_proof(const char *const *parts, unsigned count, char *ret);

/** Are they the same? Takes as long whatever is right of the text that came. */
bool spawn_proof_same(const char *proof, const char *came);

#endif
