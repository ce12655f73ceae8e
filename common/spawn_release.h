/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_release.h
 * @brief The release, in one place, for every process. Tests check C, Perl and
 * the documents against it.
 */
#ifndef SPAWN_RELEASE_H
#define SPAWN_RELEASE_H

/* Another one can be given for the test of an upgrade. */
#ifndef SPAWN_RELEASE
#define SPAWN_RELEASE "0.1.0"
#endif

/* Its day, which man pages and packages have. */
#define SPAWN_RELEASED "2026-11-30"

#endif
