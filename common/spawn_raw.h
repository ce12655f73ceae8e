/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file spawn_raw.h
 * @brief System calls that write nothing into the process but the memory that
 * the caller gives them, not even errno. Each returns the kernel's result, a
 * negative errno on failure.
 *
 * For a job's process before it executes its program: it may share the
 * spawner's memory (spawner/clone.c), so that both would have one errno. Runs
 * in every process; async-signal-safe.
 */
#ifndef SPAWN_RAW_H
#define SPAWN_RAW_H

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

#if defined(__x86_64__)

#define SPAWN_RAW_IS_PURE 1

static inline long spawn_raw_6(long number, long a, long b, long c, long d,
                               long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long rv;

    __asm__ volatile("syscall"
                     : "=a"(rv)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
    return rv;
}

#elif defined(__aarch64__)

#define SPAWN_RAW_IS_PURE 1

static inline long spawn_raw_6(long number, long a, long b, long c, long d,
                               long e, long f)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

#else

#define SPAWN_RAW_IS_PURE 0

static inline long spawn_raw_6(long number, long a, long b, long c, long d,
                               long e, long f)
{
    long rv = syscall(number, a, b, c, d, e, f);

    return rv < 0 ? -errno : rv;
}

#endif

static inline long spawn_raw(long number, long a, long b, long c, long d,
                             long e)
{
    return spawn_raw_6(number, a, b, c, d, e, 0);
}

/* Machines of 32 bits have older calls under the plain names. */
#ifdef SYS_fcntl64
#define SPAWN_RAW_FCNTL SYS_fcntl64
#else
#define SPAWN_RAW_FCNTL SYS_fcntl
#endif
#ifdef SYS_setresuid32
#define SPAWN_RAW_SETGROUPS SYS_setgroups32
#define SPAWN_RAW_SETRESGID SYS_setresgid32
#define SPAWN_RAW_SETRESUID SYS_setresuid32
#else
#define SPAWN_RAW_SETGROUPS SYS_setgroups
#define SPAWN_RAW_SETRESGID SYS_setresgid
#define SPAWN_RAW_SETRESUID SYS_setresuid
#endif

static inline int spawn_raw_fcntl(int fd, int what, long arg)
{
    return (int)spawn_raw(SPAWN_RAW_FCNTL, fd, what, arg, 0, 0);
}

static inline int spawn_raw_open(const char *path, int flags, unsigned mode)
{
    return (int)spawn_raw(SYS_openat, AT_FDCWD, (long)path, flags, mode, 0);
}

static inline int spawn_raw_close(int fd)
{
    return (int)spawn_raw(SYS_close, fd, 0, 0, 0, 0);
}

/** to becomes a copy of fd that stays open across exec; they must differ. */
static inline int spawn_raw_dup_to(int fd, int to)
{
    return (int)spawn_raw(SYS_dup3, fd, to, 0, 0, 0);
}

static inline long spawn_raw_read(int fd, void *data, size_t length)
{
    return spawn_raw(SYS_read, fd, (long)data, (long)length, 0, 0);
}

static inline long spawn_raw_write(int fd, const void *data, size_t length)
{
    return spawn_raw(SYS_write, fd, (long)data, (long)length, 0, 0);
}

/* Where a call takes a number of 64 bits in two words, or pages instead of
 * bytes, the C library knows how. It sets errno on failure only. */

static inline long spawn_raw_pread(int fd, void *data, size_t length, off_t at)
{
#if SPAWN_RAW_IS_PURE
    return spawn_raw(SYS_pread64, fd, (long)data, (long)length, at, 0);
#else
    ssize_t n = pread(fd, data, length, at);

    return n < 0 ? -errno : n;
#endif
}

static inline long spawn_raw_pwrite(int fd, const void *data, size_t length,
                                    off_t at)
{
#if SPAWN_RAW_IS_PURE
    return spawn_raw(SYS_pwrite64, fd, (long)data, (long)length, at, 0);
#else
    ssize_t n = pwrite(fd, data, length, at);

    return n < 0 ? -errno : n;
#endif
}

/** Map a file, private, over what is there. 0 or a negative errno. */
static inline int spawn_raw_map_over(void *there, size_t size, int rights,
                                     int fd, off_t at)
{
    const int how = MAP_PRIVATE | MAP_FIXED;
#if SPAWN_RAW_IS_PURE
    long rv =
        spawn_raw_6(SYS_mmap, (long)there, (long)size, rights, how, fd, at);

    return rv < 0 && rv > -4096 ? (int)rv : 0;
#else
    return mmap(there, size, rights, how, fd, at) == MAP_FAILED ? -errno : 0;
#endif
}

static inline void spawn_raw_exit(int code) __attribute__((noreturn));

static inline void spawn_raw_exit(int code)
{
    for (;;)
        (void)spawn_raw(SYS_exit_group, code, 0, 0, 0, 0);
}

#endif
