/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file filecap.c
 * @brief Gives a file capabilities, permitted and effective, as setcap does
 * (which is not installed everywhere).
 *
 *   filecap FILE NUMBER...
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <linux/capability.h>

int main(int argc, char **argv)
{
    struct vfs_cap_data data;
    int i;

    if (argc < 3) {
        (void)fputs("usage: filecap FILE NUMBER...\n", stderr);
        return 2;
    }
    memset(&data, 0, sizeof(data));
    data.magic_etc = htole32(VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE);
    for (i = 2; i < argc; i++) {
        unsigned number = (unsigned)atoi(argv[i]) & 63;

        data.data[number / 32].permitted |= htole32(1u << number % 32);
    }
    if (setxattr(argv[1], "security.capability", &data, sizeof(data), 0) < 0) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
