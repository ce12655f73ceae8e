/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that the soak (t/soak) has as a job: it writes a line to the
 * ledger when it begins, does what its words say, and writes a line when it
 * ends.
 *
 *   soakjob LEDGER TOKEN [WORD VALUE]...
 *
 *   sleep MS    out BYTES   err BYTES   in BYTES (reads all; must be so many)
 *   signal N    to itself   deaf 1      TERM is ignored from here on
 *   child MS    a child in the group that lives so long; nobody waits for it
 *   fd N        writes a line there
 *   exit N      its exit code (0)
 *
 * A line has one write, so that those of several processes do not mix. Its time
 * is the monotonic clock's, which nobody steps: B|E token id pid ms exit-code.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int ledger;
static const char *token;

static void note(char what, int code)
{
    const char *id = getenv("SPAWN_JOB_ID");
    char line[256];
    struct timespec t;
    int n;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    n = snprintf(line, sizeof(line), "%c\t%s\t%s\t%ld\t%lld\t%d\n", what, token,
                 id ? id : "-", (long)getpid(),
                 (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000, code);
    if (n < 0 || write(ledger, line, (size_t)n) != n)
        _exit(97);
}

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&t, &t) < 0)
        continue;
}

static void put(int fd, long bytes)
{
    char part[4096];

    (void)memset(part, 'x', sizeof(part));
    while (bytes > 0) {
        size_t want = bytes < (long)sizeof(part) ? (size_t)bytes : sizeof(part);
        ssize_t n = write(fd, part, want);

        if (n <= 0)
            _exit(96);
        bytes -= n;
    }
}

static void take(long bytes)
{
    char part[65536];
    ssize_t n;

    while ((n = read(0, part, sizeof(part))) > 0)
        bytes -= n;
    if (n < 0 || bytes != 0)
        _exit(95);
}

int main(int argc, char **argv)
{
    int code = 0;

    if (argc < 3)
        return 98;
    ledger = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (ledger < 0)
        return 97;
    token = argv[2];
    note('B', 0);
    for (int i = 3; i + 1 < argc; i += 2) {
        const char *word = argv[i];
        long value = atol(argv[i + 1]);

        if (strcmp(word, "sleep") == 0)
            pause_ms(value);
        else if (strcmp(word, "out") == 0)
            put(1, value);
        else if (strcmp(word, "err") == 0)
            put(2, value);
        else if (strcmp(word, "in") == 0)
            take(value);
        else if (strcmp(word, "fd") == 0)
            put((int)value, 10);
        else if (strcmp(word, "deaf") == 0)
            (void)signal(SIGTERM, SIG_IGN);
        else if (strcmp(word, "exit") == 0)
            code = (int)value;
        else if (strcmp(word, "signal") == 0)
            (void)kill(getpid(), (int)value);
        else if (strcmp(word, "child") == 0 && fork() == 0) {
            pause_ms(value);
            _exit(0);
        }
    }
    note('E', code);
    return code;
}
