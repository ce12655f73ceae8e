/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file slowfs.c
 * @brief A file system in user space for tests that stands still for a while:
 * it shows a directory, whatever is done there is done in that, and with
 * SIGUSR1 no request is answered any more until SIGUSR2, which answers all that
 * have come.
 *
 * Speaks the kernel's own protocol over /dev/fuse, so that no package is
 * needed. Ends, and lets everybody go who waits, when its stdin ends or on
 * SIGTERM. Run by root, in the tests only.
 *
 *   slowfs DIRECTORY SHOWN   writes "ready" and an end of line when it is
 * there, "waits" when a request has come that it leaves
 *
 * Exit code 77: there is no FUSE here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <linux/fuse.h>

#define NO_FUSE  77
#define NODES    4096
#define NAME     512
#define ROOM     (1 << 17)
#define REQUESTS 256

static volatile sig_atomic_t stands, ends;
static int fuse = -1;
static char nodes[NODES][NAME]; /* paths below SHOWN, by number less one */
static unsigned node_count;
static struct {
    size_t length;
    void *bytes;
} waiting[REQUESTS];
static unsigned waiting_count;

static void on_signal(int signo)
{
    if (signo == SIGTERM)
        ends = 1;
    else
        stands = signo == SIGUSR1;
}

static void answer(uint64_t unique, int error, const void *body, size_t length)
{
    static char room[ROOM + 4096];
    struct fuse_out_header head = {.len = (uint32_t)(sizeof(head) + length),
                                   .error = error,
                                   .unique = unique};

    memcpy(room, &head, sizeof(head));
    if (length)
        memcpy(room + sizeof(head), body, length);
    (void)!write(fuse, room, head.len);
}

/* The answer to what returned this, without a body. */
static void answer_of(uint64_t unique, long rv)
{
    answer(unique, rv < 0 ? -errno : 0, NULL, 0);
}

static const char *path_of(uint64_t node)
{
    return node >= 1 && node <= node_count ? nodes[node - 1] : "gone";
}

static uint64_t node_of(const char *path)
{
    unsigned i;

    for (i = 0; i < node_count; i++) {
        if (strcmp(nodes[i], path) == 0)
            return i + 1;
    }
    if (node_count == NODES || strlen(path) >= NAME)
        return 0;
    (void)strcpy(nodes[node_count], path);
    return ++node_count;
}

/* A name in a directory. */
static const char *below(uint64_t node, const char *name)
{
    static char room[2][NAME];
    static unsigned next;
    char *ret = room[next++ % 2];

    if (snprintf(ret, NAME, "%s/%s", path_of(node), name) >= NAME)
        ret[0] = '\0';
    return ret;
}

static struct fuse_attr attributes(const struct stat *st)
{
    struct fuse_attr a;

    memset(&a, 0, sizeof(a));
    a.ino = st->st_ino;
    a.mode = st->st_mode;
    a.nlink = (uint32_t)st->st_nlink;
    a.uid = st->st_uid;
    a.gid = st->st_gid;
    a.size = (uint64_t)st->st_size;
    a.blocks = (uint64_t)st->st_blocks;
    a.mtime = (uint64_t)st->st_mtim.tv_sec;
    a.mtimensec = (uint32_t)st->st_mtim.tv_nsec;
    a.ctime = (uint64_t)st->st_ctim.tv_sec;
    a.ctimensec = (uint32_t)st->st_ctim.tv_nsec;
    a.blksize = 4096;
    return a;
}

/* Of what has just been made or found; with an open file behind it. */
static void answer_entry(uint64_t unique, const char *path, int fd)
{
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out;
    struct stat st;

    memset(&out, 0, sizeof(out));
    if (lstat(path, &st) < 0) {
        answer(unique, -errno, NULL, 0);
        return;
    }
    out.entry.nodeid = node_of(path);
    out.entry.generation = st.st_ino; /* of a name that comes again */
    out.entry.attr = attributes(&st);
    out.open.fh = (uint64_t)fd;
    answer(unique, out.entry.nodeid ? 0 : -ENOMEM, &out,
           fd < 0 ? sizeof(out.entry) : sizeof(out));
}

static void answer_attributes(uint64_t unique, const struct stat *st)
{
    struct fuse_attr_out out;

    memset(&out, 0, sizeof(out));
    out.attr = attributes(st);
    answer(unique, 0, &out, sizeof(out));
}

static void get_attributes(const struct fuse_in_header *in,
                           const struct fuse_getattr_in *get)
{
    struct stat st;
    int rv = get->getattr_flags & FUSE_GETATTR_FH
                 ? fstat((int)get->fh, &st)
                 : lstat(path_of(in->nodeid), &st);

    if (rv < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer_attributes(in->unique, &st);
}

static void set_attributes(const struct fuse_in_header *in,
                           const struct fuse_setattr_in *set)
{
    const char *path = path_of(in->nodeid);
    struct stat st;
    int rv = 0;

    if (set->valid & FATTR_MODE)
        rv = chmod(path, set->mode & 07777);
    if (rv == 0 && set->valid & (FATTR_UID | FATTR_GID))
        rv = chown(path, set->valid & FATTR_UID ? set->uid : (uid_t)-1,
                   set->valid & FATTR_GID ? set->gid : (gid_t)-1);
    if (rv == 0 && set->valid & FATTR_SIZE)
        rv = set->valid & FATTR_FH ? ftruncate((int)set->fh, (off_t)set->size)
                                   : truncate(path, (off_t)set->size);
    if (rv == 0)
        rv =
            set->valid & FATTR_FH ? fstat((int)set->fh, &st) : lstat(path, &st);
    if (rv < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer_attributes(in->unique, &st);
}

/* A new file belongs to the account that made it. */
static int make(const struct fuse_in_header *in, const char *path, mode_t mode,
                unsigned flags)
{
    int rv;

    (void)setfsgid(in->gid);
    (void)setfsuid(in->uid);
    rv = S_ISDIR(mode)
             ? mkdir(path, mode & 07777)
             : open(path,
                    (int)(flags & ~(unsigned)O_NOFOLLOW) | O_CREAT | O_CLOEXEC,
                    mode & 07777);
    (void)setfsuid(0);
    (void)setfsgid(0);
    return rv;
}

static void open_file(const struct fuse_in_header *in,
                      const struct fuse_open_in *open_in, bool directory)
{
    struct fuse_open_out out;
    int flags = (int)open_in->flags & (O_ACCMODE | O_TRUNC);
    int fd = open(path_of(in->nodeid),
                  (directory ? O_RDONLY | O_DIRECTORY : flags) | O_CLOEXEC);

    memset(&out, 0, sizeof(out));
    out.fh = (uint64_t)fd;
    if (fd < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer(in->unique, 0, &out, sizeof(out));
}

static void read_file(const struct fuse_in_header *in,
                      const struct fuse_read_in *r)
{
    static char room[ROOM];
    size_t size = r->size < sizeof(room) ? r->size : sizeof(room);
    ssize_t n = pread((int)r->fh, room, size, (off_t)r->offset);

    answer(in->unique, n < 0 ? -errno : 0, room, n < 0 ? 0 : (size_t)n);
}

static void read_directory(const struct fuse_in_header *in,
                           const struct fuse_read_in *r)
{
    static char room[8192];
    size_t used = 0, most = r->size < sizeof(room) ? r->size : sizeof(room);
    DIR *d = opendir(path_of(in->nodeid));
    uint64_t at = 0;
    struct dirent *e;

    while (d && (e = readdir(d))) {
        size_t length = strlen(e->d_name);
        struct fuse_dirent entry = {.ino = e->d_ino,
                                    .off = ++at,
                                    .namelen = (uint32_t)length,
                                    .type = e->d_type};
        size_t size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);

        if (at <= r->offset)
            continue;
        if (used + size > most)
            break;
        memset(room + used, 0, size);
        memcpy(room + used, &entry, FUSE_NAME_OFFSET);
        memcpy(room + used + FUSE_NAME_OFFSET, e->d_name, length);
        used += size;
    }
    if (d)
        (void)closedir(d);
    answer(in->unique, 0, room, used);
}

/* It has another path from now on, and so has all that is below it. */
static void renamed(const char *from, const char *to)
{
    size_t length = strlen(from);
    char path[NAME];
    unsigned i;

    for (i = 0; i < node_count; i++) {
        if (strcmp(nodes[i], to) == 0)
            (void)strcpy(nodes[i], "gone");
        if (strncmp(nodes[i], from, length) == 0
            && (nodes[i][length] == '\0' || nodes[i][length] == '/')
            && snprintf(path, sizeof(path), "%s%s", to, nodes[i] + length)
                   < NAME)
            (void)strcpy(nodes[i], path);
    }
}

static void move(const struct fuse_in_header *in, uint64_t to_node,
                 const char *name)
{
    const char *from = below(in->nodeid, name);
    const char *to = below(to_node, name + strlen(name) + 1);
    int rv = rename(from, to);

    if (rv == 0)
        renamed(from, to);
    answer_of(in->unique, rv);
}

static void tell_room(const struct fuse_in_header *in)
{
    struct fuse_statfs_out out;
    struct statvfs st;

    memset(&out, 0, sizeof(out));
    if (statvfs(".", &st) == 0) {
        out.st.blocks = st.f_blocks;
        out.st.bfree = st.f_bfree;
        out.st.bavail = st.f_bavail;
        out.st.files = st.f_files;
        out.st.ffree = st.f_ffree;
        out.st.bsize = (uint32_t)st.f_bsize;
        out.st.frsize = (uint32_t)st.f_frsize;
        out.st.namelen = 255;
    }
    answer(in->unique, 0, &out, sizeof(out));
}

static void begins(const struct fuse_in_header *in)
{
    struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
                                 .minor = FUSE_KERNEL_MINOR_VERSION,
                                 .max_write = ROOM / 2};

    answer(in->unique, 0, &init, sizeof(init));
}

static void write_file(const struct fuse_in_header *in,
                       const struct fuse_write_in *w)
{
    struct fuse_write_out out = {0};
    ssize_t n = pwrite((int)w->fh, w + 1, w->size, (off_t)w->offset);

    out.size = n < 0 ? 0 : (uint32_t)n;
    answer(in->unique, n < 0 ? -errno : 0, &out, n < 0 ? 0 : sizeof(out));
}

static void create(const struct fuse_in_header *in,
                   const struct fuse_create_in *c)
{
    const char *path = below(in->nodeid, (const char *)(c + 1));
    int fd = make(in, path, c->mode & 07777, c->flags);

    if (fd < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer_entry(in->unique, path, fd);
}

static void make_node(const struct fuse_in_header *in,
                      const struct fuse_mknod_in *m)
{
    const char *path = below(in->nodeid, (const char *)(m + 1));

    if (mknod(path, m->mode, 0) < 0 || chown(path, in->uid, in->gid) < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer_entry(in->unique, path, -1);
}

static void make_directory(const struct fuse_in_header *in,
                           const struct fuse_mkdir_in *m)
{
    const char *path = below(in->nodeid, (const char *)(m + 1));

    if (make(in, path, S_IFDIR | m->mode, 0) < 0)
        answer(in->unique, -errno, NULL, 0);
    else
        answer_entry(in->unique, path, -1);
}

static void handle(const struct fuse_in_header *in, const void *body)
{
    const struct fuse_release_in *release = body;
    const struct fuse_fsync_in *sync_in = body;

    switch (in->opcode) {
    case FUSE_INIT:
        begins(in);
        break;
    case FUSE_LOOKUP:
        answer_entry(in->unique, below(in->nodeid, body), -1);
        break;
    case FUSE_GETATTR:
        get_attributes(in, body);
        break;
    case FUSE_SETATTR:
        set_attributes(in, body);
        break;
    case FUSE_MKDIR:
        make_directory(in, body);
        break;
    case FUSE_MKNOD: /* a socket */
        make_node(in, body);
        break;
    case FUSE_CREATE:
        create(in, body);
        break;
    case FUSE_OPEN:
    case FUSE_OPENDIR:
        open_file(in, body, in->opcode == FUSE_OPENDIR);
        break;
    case FUSE_READ:
        read_file(in, body);
        break;
    case FUSE_READDIR:
        read_directory(in, body);
        break;
    case FUSE_WRITE:
        write_file(in, body);
        break;
    case FUSE_FSYNC:
        answer_of(in->unique, fsync((int)sync_in->fh));
        break;
    case FUSE_UNLINK:
        answer_of(in->unique, unlink(below(in->nodeid, body)));
        break;
    case FUSE_RMDIR:
        answer_of(in->unique, rmdir(below(in->nodeid, body)));
        break;
    case FUSE_RENAME:
        move(in, ((const struct fuse_rename_in *)body)->newdir,
             (const char *)body + sizeof(struct fuse_rename_in));
        break;
    case FUSE_RENAME2:
        move(in, ((const struct fuse_rename2_in *)body)->newdir,
             (const char *)body + sizeof(struct fuse_rename2_in));
        break;
    case FUSE_STATFS:
        tell_room(in);
        break;
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        (void)close((int)release->fh);
        answer(in->unique, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_FSYNCDIR:
        answer(in->unique, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break;
    default:
        answer(in->unique, -ENOSYS, NULL, 0);
        break;
    }
}

static void handle_bytes(const void *room)
{
    handle(room, (const char *)room + sizeof(struct fuse_in_header));
}

static void leave(const void *room, size_t length)
{
    if (waiting_count == REQUESTS)
        return;
    waiting[waiting_count].length = length;
    waiting[waiting_count].bytes = malloc(length + 1);
    if (!waiting[waiting_count].bytes)
        return;
    memcpy(waiting[waiting_count].bytes, room, length);
    waiting_count++;
    (void)!write(1, "waits\n", 6);
}

static void go_on(void)
{
    unsigned i;

    for (i = 0; i < waiting_count; i++) {
        handle_bytes(waiting[i].bytes);
        free(waiting[i].bytes);
    }
    waiting_count = 0;
}

static bool serves(void)
{
    static char room[ROOM + 4096];
    ssize_t n = read(fuse, room, sizeof(room) - 1);

    if (n < 0)
        return errno != ENODEV;
    room[n] = '\0';
    if (n < (ssize_t)sizeof(struct fuse_in_header))
        return true;
    if (stands)
        leave(room, (size_t)n);
    else
        handle_bytes(room);
    return true;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct pollfd p[2] = {{.events = POLLIN}, {.fd = 0, .events = POLLIN}};
    sigset_t ours, none;
    char options[128], byte;

    if (argc != 3)
        return 2;
    fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return NO_FUSE;
    (void)snprintf(options, sizeof(options),
                   "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,"
                   "default_permissions",
                   fuse);
    if (mount("slowfs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0)
        return NO_FUSE;
    if (chdir(argv[2]) < 0)
        return 2;
    (void)umask(0);
    (void)node_of(".");
    (void)signal(SIGPIPE, SIG_IGN); /* nobody may read who waits */
    /* signals come while it waits, and at no other time */
    (void)sigemptyset(&none);
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGUSR1);
    (void)sigaddset(&ours, SIGUSR2);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ours, NULL);
    (void)sigaction(SIGUSR1, &action, NULL);
    (void)sigaction(SIGUSR2, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)!write(1, "ready\n", 6);
    p[0].fd = fuse;
    while (!ends) {
        int rv = ppoll(p, 2, NULL, &none);

        if (!stands)
            go_on();
        if (rv < 0)
            continue;
        if (p[1].revents && read(0, &byte, 1) <= 0)
            break;
        if (p[0].revents && !serves())
            break;
    }
    (void)umount2(argv[1], MNT_DETACH);
    return 0;
}
