/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scribe_serve.h
 * @brief The work of the scribe: docs/durable.md.
 */
#ifndef SPAWN_BROKER_STORE_SCRIBE_SERVE_H
#define SPAWN_BROKER_STORE_SCRIBE_SERVE_H

/** Serve the broker at SPAWN_SCRIBE_FD until its end, then exit with 0. */
void spawn_scribe_serve(const char *directory) __attribute__((noreturn));

#endif
