/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_process.h
 * @brief Other processes: what the system shows of them, and signals to them.
 *
 * Runs in every process. A function that returns int returns 0 (or a
 * descriptor) or a negative errno, and leaves its outputs alone on failure.
 */
#ifndef SPAWN_PROCESS_H
#define SPAWN_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** A descriptor for a process, close-on-exec; readable when it has ended. */
int spawn_os_pidfd(pid_t pid);

/** Is it there, at least as one that has ended and is not reaped? Until then
 * nobody else has its number. */
bool spawn_os_pidfd_there(int pidfd);

/** Exit status (as of wait(2)) of an ended process that somebody else reaped.
 * -EOPNOTSUPP where the kernel does not tell (before Linux 6.15). */
int spawn_os_pidfd_status(int pidfd, int *ret_status);

/** Signal the whole group of the process, or the process alone when it leads
 * none. Where the kernel cannot signal a group by a pidfd (before Linux 6.9),
 * those of it that /proc shows, each by a pidfd. */
int spawn_os_pidfd_signal(int pidfd, int signo);

/** Is there a child of ours in this group that has not ended? */
bool spawn_os_group_lives(pid_t group);

/** Signal the rest of a group whose leader we have reaped: by the leader's
 * pidfd where the kernel can (6.9), else by number, and then only while a child
 * of ours is in the group and no process has the number again. -ESRCH: none is
 * left.
 * @param group -1: not known; by the pidfd only, and its error. */
int spawn_os_group_signal(int pidfd, pid_t group, int signo);

/** KILL what is left of the group of a session's leader, found in /proc.
 * Nothing is done when none of it began before a moment at which that leader
 * lived: while such a one is there the number cannot have been given away
 * again. Each is signalled by a pidfd. */
void spawn_os_group_end(pid_t group, int64_t lived_boot_ms);

/** Has this process not executed anything since its fork? 0 or 1, or a negative
 * errno. */
int spawn_os_only_forked(pid_t pid);

/** Does a thread of it wait in the kernel so that no signal reaches it? True
 * also when that is not shown. */
bool spawn_os_hangs(pid_t pid);

/** Its parent, as far as our pid namespace shows it. */
int spawn_os_parent(pid_t pid, pid_t *ret);

/** When the process started, in ms since boot (10 ms steps), and its session.
 * -ESRCH when there is no such process. */
int spawn_os_process(pid_t pid, int64_t *ret_boot_ms, pid_t *ret_session);

/** A process is noted within so many ms after it began. */
#define SPAWN_NOTED_LATE 60000

/** Does a process of this number lead a session, and can it be the one whose
 * start was noted at this time since boot, or has another one the number? The
 * pidfd is got before the look: then that is at what the pidfd names.
 * @param late ms that the note came after the start, at most; below 0: any. */
bool spawn_os_is_noted(pid_t pid, int64_t noted, int64_t late);

/** Its real account, which may signal it beside root. Also of a process that
 * has ended, until it is reaped. Another errno than ESRCH: neither the kernel
 * (before Linux 6.13) nor /proc (hidepid) tells. */
int spawn_os_real_uid(pid_t pid, uid_t *ret);

/** Has it ended, with all of its threads, and not been reaped? */
bool spawn_os_unreaped(pid_t pid);

/** A process's state, by the letter of /proc (R, S, D, T, t, Z), and the CPU
 * time that it has used, in ms (10 ms steps). One whose first thread alone has
 * ended has a Z, too. -ESRCH: it is not there, or not shown. */
int spawn_os_state(pid_t pid, char *ret_state, int64_t *ret_cpu_ms);

/** Has somebody stopped it: a signal, or a debugger? */
bool spawn_os_stopped(pid_t pid);

/** The nice value of its session, as spawn_os_autogroup_nice for our own.
 * -EACCES: it is not dumpable, or of another account; -EAGAIN: the kernel takes
 * ten a second of all sessions together, but of root's processes. */
int spawn_os_session_nice(pid_t pid, int nice);

/** Is the process exiting, so that none of its code runs any more? */
bool spawn_os_exiting(pid_t pid);

/** Memory of a process, bytes. */
typedef struct {
    uint64_t resident;     /* frozen memory counts whole */
    uint64_t proportional; /* of shared memory the part of one sharer; without
                              what is frozen */
    uint64_t alone;        /* that no other process shares */
    uint64_t frozen;       /* its own, or its template's */
} spawn_memory;

/** Bytes of it that are resident, of any process; 0: not known. */
uint64_t spawn_os_resident(pid_t pid);

/** -EACCES: it is not shown to us; -ENOENT or -ESRCH: it has gone. */
int spawn_os_memory(pid_t pid, spawn_memory *ret);

#endif
