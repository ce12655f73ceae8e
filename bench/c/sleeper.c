/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job that runs until the suite lets it go: waits in the open of a named
 * pipe, which returns for all sleepers at once when a writer opens it. Linked
 * statically. An alarm ends it when the suite was killed.
 *
 *   sleeper PIPE
 */
#include <fcntl.h>
#include <unistd.h>

#define LONGEST 900 /* seconds */

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    (void)alarm(LONGEST);
    return open(argv[1], O_RDONLY) < 0;
}
