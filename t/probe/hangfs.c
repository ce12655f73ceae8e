/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hangfs.c
 * @brief A file system for tests that stops answering: the file `file`, whose
 * close never returns once SIGUSR1 has come, and others that hang at once: who
 * looks for `lookup`, opens `open` or reads `read`, `read1`, `read2` and so on
 * (of several who read the same file only the first one is with the server).
 *
 * Speaks the kernel's own protocol over /dev/fuse, so that no package is
 * needed. Ends, and lets everybody go who hangs, when its stdin ends or on
 * SIGTERM. Run by root, in the tests only.
 *
 *   hangfs DIRECTORY        writes "ready" and an end of line when it is there,
 *                           "hangs" when it has taken a request of the latter
 *                           kind: from now on not even KILL ends who made it
 *
 * Exit code 77: there is no FUSE here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fuse.h>

#define FILE_NODE 2
#define OPEN_NODE 3
#define READ_NODE 4 /* and all after it */
#define NO_FUSE   77

static volatile sig_atomic_t hangs, ends;
static int fuse = -1;

static void on_signal(int signo)
{
    if (signo == SIGUSR1)
        hangs = 1;
    else
        ends = 1;
}

static void answer(uint64_t unique, int error, const void *body, size_t length)
{
    char room[512];
    struct fuse_out_header head = {.len = (uint32_t)(sizeof(head) + length),
                                   .error = error,
                                   .unique = unique};

    memcpy(room, &head, sizeof(head));
    if (length)
        memcpy(room + sizeof(head), body, length);
    (void)!write(fuse, room, head.len);
}

static struct fuse_attr attributes(uint64_t node)
{
    struct fuse_attr a;

    memset(&a, 0, sizeof(a));
    a.ino = node;
    a.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666;
    a.nlink = 1;
    a.size = node == FUSE_ROOT_ID ? 0 : 10;
    return a;
}

static void say_hangs(void)
{
    (void)!write(1, "hangs\n", 6);
}

static void look_up(const struct fuse_in_header *in, const char *name)
{
    struct fuse_entry_out out;

    memset(&out, 0, sizeof(out));
    if (strcmp(name, "lookup") == 0) {
        say_hangs();
        return;
    }
    out.nodeid = strcmp(name, "file") == 0   ? FILE_NODE
                 : strcmp(name, "open") == 0 ? OPEN_NODE
                 : strncmp(name, "read", 4) == 0
                     ? READ_NODE + (uint64_t)atoi(name + 4)
                     : 0;
    if (out.nodeid == 0) {
        answer(in->unique, -ENOENT, NULL, 0);
        return;
    }
    out.attr = attributes(out.nodeid);
    answer(in->unique, 0, &out, sizeof(out));
}

static void handle(const struct fuse_in_header *in, const void *body)
{
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                 .minor = FUSE_KERNEL_MINOR_VERSION,
                                 .max_write = 4096};
    struct fuse_attr_out attr;
    struct fuse_open_out open_out;

    memset(&attr, 0, sizeof(attr));
    memset(&open_out, 0, sizeof(open_out));
    switch (in->opcode) {
    case FUSE_INIT:
        answer(in->unique, 0, &init, sizeof(init));
        break;
    case FUSE_LOOKUP:
        look_up(in, body);
        break;
    case FUSE_GETATTR:
        attr.attr = attributes(in->nodeid);
        answer(in->unique, 0, &attr, sizeof(attr));
        break;
    case FUSE_OPEN:
        if (in->nodeid != OPEN_NODE)
            answer(in->unique, 0, &open_out, sizeof(open_out));
        else
            say_hangs();
        break;
    case FUSE_READ:
        if (in->nodeid < READ_NODE)
            answer(in->unique, 0, "0123456789", 10);
        else
            say_hangs();
        break;
    case FUSE_FLUSH:
        if (!hangs)
            answer(in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
        break;
    case FUSE_RELEASE:
    case FUSE_ACCESS:
        answer(in->unique, 0, NULL, 0);
        break;
    default:
        answer(in->unique, -ENOSYS, NULL, 0);
        break;
    }
}

int main(int argc, char **argv)
{
    static char room[1 << 17];
    struct sigaction action = {.sa_handler = on_signal};
    struct pollfd p[2] = {{.events = POLLIN}, {.fd = 0, .events = POLLIN}};
    char options[128];
    char byte;

    if (argc != 2)
        return 2;
    fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return NO_FUSE;
    (void)snprintf(options, sizeof(options),
                   "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
                   fuse);
    if (mount("hangfs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        return NO_FUSE;
    (void)signal(SIGPIPE, SIG_IGN); /* nobody may read what hangs */
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)!write(1, "ready\n", 6);
    p[0].fd = fuse;
    while (!ends) {
        if (poll(p, 2, -1) < 0)
            continue;
        if (p[1].revents && read(0, &byte, 1) <= 0)
            break;
        if (p[0].revents) {
            ssize_t n = read(fuse, room, sizeof(room));

            if (n < 0 && errno == ENODEV)
                break;
            if (n >= (ssize_t)sizeof(struct fuse_in_header))
                handle((struct fuse_in_header *)(void *)room,
                       room + sizeof(struct fuse_in_header));
        }
    }
    (void)umount2(argv[1], MNT_DETACH);
    return 0;
}
