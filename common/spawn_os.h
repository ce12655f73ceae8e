/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_os.h
 * @brief Calls that only Linux has, named for what they do, so that a port is
 * a few files (spawn_*_linux.c): rights and descriptors of this process; and
 * the clocks. spawn_process.h has other processes, spawn_sweep.h the
 * descriptors that have to go.
 *
 * Runs in every process. Every function returns 0 (or a descriptor) or a
 * negative errno, and leaves its outputs alone on failure. Those marked [fork]
 * are async-signal-safe: they may be called between fork and exec; those that a
 * job's process calls write no errno either (spawn_raw.h).
 */
#ifndef SPAWN_OS_H
#define SPAWN_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- clocks ---- */

/** Milliseconds that never jump: for deadlines. */
int64_t spawn_mono_ms(void);
/** The same in microseconds: for durations. */
int64_t spawn_mono_us(void);
/** Milliseconds since boot, sleep included, as process start times count. */
int64_t spawn_boot_ms(void);
/** Milliseconds since 1970, for people and the store. */
int64_t spawn_wall_ms(void);

/** A descriptor that becomes readable when the time of day is set, or the
 * machine goes on after sleep; -ENOSYS or another errno where there is none. */
int spawn_os_clock_steps(void);
/** Wait for the next step. */
void spawn_os_clock_steps_again(int fd);

/** Sleep for some microseconds, hardly longer. */
void spawn_os_nap(unsigned us);

/** The CPU that we run on, from 1 on: at most SPAWN_OS_CPUS, of which more than
 * one may be the same number; 0: not known. */
unsigned spawn_os_cpu(void);
#define SPAWN_OS_CPUS 4095

/* ---- this process ---- */

/** Orphans below the calling process become its children. */
int spawn_os_subreaper(void);

/** No core, no ptrace, /proc/self owned by root. */
int spawn_os_undumpable(void);

/** Get signo when the parent *thread* that forked us ends. Lost at exec of a
 * set-id program. [fork] */
int spawn_os_die_with_parent(int signo);

/** Keep only the capabilities for setuid, setgid, kill and, where we have it,
 * for making the bounding set smaller. The bounding set stays as it is: set-id
 * programs of jobs need it, and nothing brings it back. For a process of uid 0,
 * which must execute nothing as uid 0: exec would give it the whole set
 * again. */
int spawn_os_drop_capabilities(void);

/** Keep only these in the bounding set (bits by capability number). [fork] */
int spawn_os_bounding_set(uint64_t keep);

/** Forget the capabilities that every executed program would inherit. Not an
 * error where there are none. */
void spawn_os_drop_ambient(void);

/** exec of a set-id program gains nothing from now on. [fork] */
int spawn_os_no_new_privs(void);

/** Default action for every signal, the C library's own two included: a
 * starter that used posix_spawn leaves those ignored, and exec inherits that.
 * For a process of one thread. */
void spawn_os_default_signals(void);

/** Block every signal, the C library's own two included, which sigprocmask(3)
 * leaves as they are. For a process of one thread. */
int spawn_os_block_signals(void);

/** SCHED_BATCH (a woken process does not push its waker off the CPU), or back
 * to SCHED_OTHER. [fork] */
int spawn_os_sched_batch(bool batch);

/** I/O class (1 real time, 2 best effort, 3 idle) and level 0-7. [fork] */
int spawn_os_ionice(int klass, int level);

/** The nice value of this process's session, where the kernel makes each
 * session a group of its own (sched_autogroup_enabled): between such groups the
 * values of processes do not count. Where it cannot be, nothing is changed:
 * without CAP_SYS_ADMIN the kernel takes ten a second of all sessions together.
 * [fork] */
void spawn_os_autogroup_nice(int nice);

/** Execute the program behind a descriptor. Returns only on failure. [fork] */
int spawn_os_exec_fd(int fd, char *const argv[], char *const envp[]);

/** An id of this boot, text of 36 characters, into text[37]. */
int spawn_os_boot_id(char *text);

/* ---- descriptors ---- */

/** An anonymous file in memory, close-on-exec, sealable. */
int spawn_os_memfd(const char *name);

/** Forbid every further change of a memfd. */
int spawn_os_seal(int fd);

/** Of a pipe or a memfd: its close waits for nobody. No call is made on it that
 * waits. */
bool spawn_os_closes_quickly(int fd);

/** True when the memfd can no longer be changed by anybody. */
bool spawn_os_sealed(int fd);

/**
 * Allow or forbid others to pass descriptors through this Unix socket. Sockets
 * that are accepted from a listening one inherit it. -ENOPROTOOPT where the
 * kernel cannot say no (before Linux 6.16).
 */
int spawn_os_pass_descriptors(int fd, bool may);

/** The process at the other end of a Unix socket, as of connect(2) or, for the
 * end that connected, as of listen(2). */
int spawn_os_peer(int fd, pid_t *ret_pid, uid_t *ret_uid, gid_t *ret_gid);

/** Its supplementary groups, as of the same moment.
 * @param ret_count how many there are.
 * @return 0, -ERANGE when room is for fewer, or another negative errno. */
int spawn_os_peer_groups(int fd, gid_t *ret, unsigned room,
                         unsigned *ret_count);

/** From now on the kernel tells the sender of each packet that arrives here
 * (spawn_packet.h). A connection inherits this from the socket it was accepted
 * by. */
int spawn_os_pass_credentials(int fd);

#endif
