/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's limit for jobs per second: a loop that starts a program again
 * and again, with the set-up that mod_spawn gives its jobs, keeps so many
 * running, reaps them, and does nothing else: no queue, no record, no caller.
 *
 *   start fork|vfork|vm IN_FLIGHT LOOPS SECONDS UID GID PROGRAM [ARGUMENT]
 *
 * LOOPS processes do so at once, IN_FLIGHT each. Prints jobs per second, and
 * how many it were. vm: a child that shares the loop's memory until exec, on a
 * stack of its own, while the loop goes on. Runs beside httpd, alone. Linked
 * statically: fork costs what the forking process weighs.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/c/bare.h"
#include "bench/c/setup.h"

#define STACK 32768

enum how {
    BY_FORK,
    BY_VFORK,
    BY_VM
};

static struct {
    enum how how;
    long in_flight;
    int64_t for_ns;
    uid_t uid;
    gid_t gid;
    char **argv;
} what;

/* vm: stacks, each with who runs on it (0: free); a child is on its own until
 * it has been reaped, which is longer than needed. */
static struct {
    char *stacks;
    pid_t *on;
} vm;

static int vm_child(void *unused)
{
    (void)unused;
    set_up_and_exec(what.argv, what.uid, what.gid);
    return 127;
}

static pid_t start_vm(void)
{
    long i = 0;

    while (vm.on[i])
        i++;
    vm.on[i] =
        clone(vm_child, vm.stacks + (i + 1) * STACK, CLONE_VM | SIGCHLD, NULL);
    return vm.on[i];
}

static void start_one(void)
{
    pid_t pid;

    /* vfork's child runs in our memory; it only makes calls and execs */
    if (what.how == BY_VM) {
        pid = start_vm();
    }
    else {
        pid = what.how == BY_VFORK ? vfork() : fork();
        if (pid == 0)
            set_up_and_exec(what.argv, what.uid, what.gid);
    }
    if (pid < 0) {
        perror("fork");
        exit(1);
    }
}

static void reap_one(void)
{
    struct rusage used;
    int status;
    pid_t pid = wait4(-1, &status, 0, &used);
    long i;

    if (pid < 0 || status != 0) {
        (void)fprintf(stderr, "start: %s does not run (status %d)\n",
                      what.argv[0], status);
        exit(1);
    }
    for (i = 0; what.how == BY_VM && i < what.in_flight; i++) {
        if (vm.on[i] == pid)
            vm.on[i] = 0;
    }
}

static long loop(void)
{
    int64_t end = now_ns() + what.for_ns;
    long running = 0, done = 0;

    vm.stacks = calloc((size_t)what.in_flight, STACK);
    vm.on = calloc((size_t)what.in_flight, sizeof(*vm.on));
    if (!vm.stacks || !vm.on) {
        perror("memory");
        exit(1);
    }
    while (now_ns() < end) {
        while (running < what.in_flight) {
            start_one();
            running++;
        }
        reap_one();
        running--;
        done++;
    }
    for (; running; running--, done++)
        reap_one();
    return done;
}

int main(int argc, char **argv)
{
    long loops, i, sum = 0;
    int64_t from;
    long *done;

    if (argc < 8) {
        (void)fprintf(stderr,
                      "usage: start fork|vfork|vm IN_FLIGHT LOOPS SECONDS "
                      "UID GID PROGRAM [ARGUMENT]\n");
        return 2;
    }
    what.how = strcmp(argv[1], "vfork") == 0 ? BY_VFORK
               : strcmp(argv[1], "vm") == 0  ? BY_VM
                                             : BY_FORK;
    what.in_flight = strtol(argv[2], NULL, 10);
    loops = strtol(argv[3], NULL, 10);
    what.for_ns = (int64_t)(strtod(argv[4], NULL) * 1e9);
    what.uid = (uid_t)strtol(argv[5], NULL, 10);
    what.gid = (gid_t)strtol(argv[6], NULL, 10);
    what.argv = argv + 7;
    done = mmap(NULL, (size_t)loops * sizeof(*done), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (done == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    from = now_ns();
    for (i = 0; i < loops; i++) {
        if (fork() == 0) {
            done[i] = loop();
            exit(0);
        }
    }
    for (i = 0; i < loops; i++) {
        int status;

        if (wait(&status) < 0 || status != 0)
            return 1;
    }
    for (i = 0; i < loops; i++)
        sum += done[i];
    (void)printf("%.1f %ld\n", (double)sum * 1e9 / (double)(now_ns() - from),
                 sum);
    return 0;
}
