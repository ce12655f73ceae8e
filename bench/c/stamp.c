/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that tells when it ran: appends the times of its begin and its end to a
 * file, as a line. Linked statically, so that its begin is soon after exec.
 *
 *   stamp FILE
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/c/bare.h"

int main(int argc, char **argv)
{
    int64_t from = now_ns();
    char line[64];
    int fd, n;

    if (argc != 2)
        return 2;
    fd = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return 1;
    n = snprintf(line, sizeof(line), "%lld %lld\n", (long long)from,
                 (long long)now_ns());
    return write(fd, line, (size_t)n) != n;
}
