/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file saved.h
 * @brief The format of the memfd that an upgrade writes, and the new release
 * reads: upgrade.c and resume.c. A number that was used once means the same for
 * ever.
 */
#ifndef SPAWNER_SAVED_H
#define SPAWNER_SAVED_H

/* A start pipe, beside the roles of KEEP. */
#define KEEP_START_PIPE 100
/* A template's link. */
#define KEEP_LINK 101
/* The pidfd of a leader that has gone. */
#define KEEP_GROUP 102
/* The pidfd of a template that is no child of ours. */
#define KEEP_PIDFD 103

/* Where jobs tell of their failures: reading end, writing end. */
#define KEEP_FAILURES_IN  104
#define KEEP_FAILURES_OUT 105

/* Directories of jobs' cgroups: the first of them, and the others behind it. */
#define KEEP_CGROUPS 110

/* The messages of the memfd. The kinds are those of the wire; what they hold
 * differs (descriptors are numbers here), so they have numbers of their own. */
enum {
    SAVED_SELF = 200,
    SAVED_JOB = 201,
    SAVED_HELD = 202
};

#endif
