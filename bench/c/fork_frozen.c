/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limit for Perl calls that other processes make, whatever the template
 * weighs: a Perl in this program, beside so many megabytes that lie in a file
 * in memory mapped in their place, so that a fork copies no page tables for
 * them. Each call is taken from a connection and forked; the child calls the
 * function and answers the caller; its end is waited for. No set-up, no queue,
 * no checks, no record.
 *
 *   fork_frozen MEGABYTES PERL_DIRECTORY PATH    until it is ended by a signal
 *
 * Runs beside httpd, or for bench/calls/fork_frozen.pl.
 */
#include <EXTERN.h>
#include <perl.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST    64  /* connections */
#define BYTES   512 /* of a call, and of its answer */
#define REAP_MS 1   /* while a child runs */

static PerlInterpreter *my_perl;

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static size_t resident(void)
{
    unsigned long all, here = 0;
    FILE *in = fopen("/proc/self/statm", "re");

    if (!in || fscanf(in, "%lu %lu", &all, &here) != 2)
        fail("/proc/self/statm");
    (void)fclose(in);
    return (size_t)here * (size_t)sysconf(_SC_PAGESIZE);
}

/* Memory that was written, then moved into a file that takes its place. */
static void grow_and_freeze(size_t size)
{
    char *memory;
    size_t done = 0;
    int file = memfd_create("bench", MFD_CLOEXEC);

    if (size <= resident())
        return;
    size -= resident();
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file < 0 || memory == MAP_FAILED)
        fail("memory");
    memset(memory, 'x', size);
    while (done < size) {
        ssize_t n = write(file, memory + done, size - done);

        if (n <= 0)
            fail("memory");
        done += (size_t)n;
    }
    if (mmap(memory, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
             file, 0)
        == MAP_FAILED)
        fail("memory");
    (void)close(file);
}

static void load(char *directory)
{
    static char name[] = "fork_frozen", inc[] = "-I",
                module[] = "-MBench::Work", code[] = "-e0";
    char *words[] = {name, inc, directory, module, code, NULL};

    my_perl = perl_alloc();
    if (!my_perl)
        fail("perl");
    perl_construct(my_perl);
    if (perl_parse(my_perl, NULL, 5, words, NULL) != 0)
        fail("Bench::Work");
}

/* The path is there when it can be connected to. */
static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (snprintf(at.sun_path, sizeof(at.sun_path), "%s.new", path)
        >= (int)sizeof(at.sun_path))
        fail(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0
        || chmod(at.sun_path, 0666) < 0 || listen(fd, MOST) < 0
        || rename(at.sun_path, path) < 0)
        fail(path);
    return fd;
}

/* The child: the function's value to the caller, and no more. */
static void answer(int to, const char *message, size_t length)
{
    dSP;
    STRLEN size;
    const char *value;

    PUSHMARK(SP);
    XPUSHs(sv_2mortal(newSVpvn(message, length)));
    PUTBACK;
    (void)call_pv("Bench::Work::echo", G_SCALAR);
    SPAGAIN;
    value = SvPV(TOPs, size);
    _exit(send(to, value, size, MSG_NOSIGNAL) < 0);
}

/* Returns whether the caller is still there. */
static bool take(int from, int *running)
{
    char message[BYTES];
    ssize_t length = recv(from, message, sizeof(message), 0);
    pid_t pid;

    if (length <= 0)
        return false;
    pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0)
        answer(from, message, (size_t)length);
    ++*running;
    return true;
}

int main(int argc, char **argv)
{
    struct pollfd on[MOST + 1] = {{.events = POLLIN}};
    int count = 1, running = 0, i;

    if (argc != 4) {
        (void)fprintf(stderr,
                      "usage: fork_frozen MEGABYTES PERL_DIRECTORY PATH\n");
        return 2;
    }
    PERL_SYS_INIT3(&argc, &argv, &environ);
    load(argv[2]);
    grow_and_freeze((size_t)strtoul(argv[1], NULL, 10) << 20);
    on[0].fd = listen_at(argv[3]);
    for (;;) {
        if (poll(on, (nfds_t)count, running ? REAP_MS : -1) < 0)
            continue;
        while (running && waitpid(-1, NULL, WNOHANG) > 0)
            running--;
        for (i = count - 1; i > 0; i--) {
            if (on[i].revents && !take(on[i].fd, &running)) {
                (void)close(on[i].fd);
                on[i] = on[--count];
            }
        }
        if (on[0].revents && count <= MOST) {
            on[count].fd = accept4(on[0].fd, NULL, NULL, SOCK_CLOEXEC);
            on[count].revents = 0;
            on[count].events = POLLIN;
            count += on[count].fd >= 0;
        }
    }
}
