/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bare.h
 * @brief System calls without a C library, for a program that starts often and
 * does little.
 *
 * A C library's start asks the CPU about itself, with dozens of cpuid
 * instructions. A virtual machine catches each of them: of the 0.65 ms that an
 * empty static program took in one, 0.55 ms were for that. On machines that are
 * not named here the library is used, which costs that time and nothing else.
 *
 * Runs in the waiter only.
 */
#ifndef SPAWN_WAITER_BARE_H
#define SPAWN_WAITER_BARE_H

#include <sys/syscall.h>

/** The program: the words of its command line; its exit code. */
static int run(int argc, char **argv);

/** call(number, up to 5 arguments): the kernel's result, errors negative. */
#define call(number, a, b, c, d, e)                                            \
    bare_call((long)(number), (long)(a), (long)(b), (long)(c), (long)(d),      \
              (long)(e))

#if defined(SPAWN_BARE) && defined(__x86_64__)

static inline long bare_call(long number, long a, long b, long c, long d,
                             long e)
{
    long ret;
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = 0;

    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth),
                       "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return ret;
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call bare_start\n");

#elif defined(SPAWN_BARE) && defined(__aarch64__)

static inline long bare_call(long number, long a, long b, long c, long d,
                             long e)
{
    register long n __asm__("x8") = number;
    register long ret __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    register long sixth __asm__("x5") = 0;

    __asm__ volatile("svc #0"
                     : "+r"(ret)
                     : "r"(n), "r"(second), "r"(third), "r"(fourth), "r"(fifth),
                       "r"(sixth)
                     : "memory");
    return ret;
}

__asm__(".globl _start\n"
        "_start:\n"
        "    mov x29, #0\n"
        "    mov x0, sp\n"
        "    bl bare_start\n");

#else

#define BARE_LIBRARY
#include <errno.h>
#include <unistd.h>

static inline long bare_call(long number, long a, long b, long c, long d,
                             long e)
{
    long ret = syscall(number, a, b, c, d, e, 0L);

    return ret < 0 ? -errno : ret;
}

int main(int argc, char **argv)
{
    return run(argc, argv);
}

#endif

#ifndef BARE_LIBRARY

/* As the kernel leaves it: the count, then the words. */
__attribute__((noreturn, used)) void bare_start(long *stack);

__attribute__((noreturn, used)) void bare_start(long *stack)
{
    int code = run((int)stack[0], (char **)(stack + 1));

    for (;;)
        (void)call(SYS_exit_group, code, 0, 0, 0, 0);
}

#endif

#endif
