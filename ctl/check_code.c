/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawnctl check-code: what Perl code runs by itself, and what to write
 * instead. Becomes perl with Apache2::Spawn::Check, which does all of it; asks
 * no broker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"

const char ctl_check_code_help[] =
    "usage: spawnctl check-code [options] path ...\n"
    "List where Perl code and httpd's configuration, in these files and "
    "directories,\n"
    "start programs and processes or work after the answer: file, line, what "
    "it "
    "is,\n"
    "what to write instead. It reads them with PPI (Debian: libppi-perl), and "
    "runs\n"
    "nothing of them. 'perldoc Apache2::Spawn::Check' has its limits.\n"
    "\n"
    "      --max-bytes NUMBER  larger files are not read (default: 1000000)\n"
    "  -s, --socket PATH, -h, --help, -V, --version\n"
    "\n"
    "Exit code: 0 nothing was found; 1 something was found; 2 not all was "
    "read,\n"
    "or written; 125 spawnctl failed.\n";

static const struct option options[] = {
    {"max-bytes", required_argument, NULL, 'B'}, CTL_LONG_OPTIONS};

static bool is_number(const char *text)
{
    size_t length = strspn(text, "0123456789");

    return length > 0 && length <= 15 && !text[length];
}

/* Does not return when perl is there. */
static int become_perl(char **paths, int count, const char *max_bytes)
{
    static const char code[] =
        "$Apache2::Spawn::Check::LIMIT = $_ for grep { length } shift; "
        "exit check(@ARGV)";
    const char **argv = calloc((size_t)count + 7, sizeof(*argv));
    int n = 0, i;

    if (argv) {
        argv[n++] = "perl";
        argv[n++] = "-MApache2::Spawn::Check";
        argv[n++] = "-e";
        argv[n++] = code;
        argv[n++] = "--";
        argv[n++] = max_bytes;
        for (i = 0; i < count; i++)
            argv[n++] = paths[i];
        (void)execvp("perl", (char **)argv);
    }
    (void)fprintf(stderr, "spawnctl: perl: %s\n", strerrordesc_np(errno));
    free(argv);
    return CTL_TROUBLE;
}

int ctl_check_code(spawn_ctl *ctl, int argc, char **argv)
{
    const char *max_bytes = "";
    int option, code;

    while ((option = ctl_getopt(ctl, argc, argv, CTL_SHORT_OPTIONS, options))
           != -1) {
        if (option == 'B') {
            max_bytes = optarg;
            if (!is_number(max_bytes))
                return ctl_usage(ctl,
                                 "--max-bytes: '%s' is not allowed; wanted: a "
                                 "number",
                                 max_bytes);
            continue;
        }
        code = ctl_option(ctl, option);
        if (code >= 0)
            return code;
    }
    if (optind == argc)
        return ctl_usage(ctl, "no path; wanted: spawnctl check-code "
                              "[options] path ...");
    if (ctl->json)
        return ctl_usage(ctl, "the places are lines of text, and no JSON");
    return become_perl(argv + optind, argc - optind, max_bytes);
}
