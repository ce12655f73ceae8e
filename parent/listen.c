/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that a spawner's parent makes, and the inbox. Runs in the parent:
 * httpd's, or a standalone one.
 *
 * Must not reach a socket by its path, but makes it through /proc/self/fd/N of
 * its directory and connects to it by a descriptor of its own: no symbolic link
 * can lead elsewhere, not even in its place, and a directory's path may be
 * longer than a socket's.
 */
#include "parent/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/spawn_os.h"

#define POST_BUFFER (8 << 20)

static int address_of(int dir_fd, const char *name, struct sockaddr_un *ret)
{
    int n;

    memset(ret, 0, sizeof(*ret));
    ret->sun_family = AF_UNIX;
    n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s",
                 dir_fd, name);
    return n < (int)sizeof(ret->sun_path) ? 0 : -ENAMETOOLONG;
}

/* The socket itself, which connect(2) would look for behind a symbolic link.
 * One that has another name too may be another httpd's. */
static int open_socket(int dir_fd, const char *name)
{
    int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    int rv;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        rv = -errno;
    else if (S_ISLNK(st.st_mode))
        rv = -ELOOP;
    else if (!S_ISSOCK(st.st_mode))
        rv = -ECONNREFUSED;
    else if (st.st_nlink > 1)
        rv = -EMLINK;
    else
        return fd;
    (void)close(fd);
    return rv;
}

static int connect_to(int path_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int rv;

    if (fd < 0)
        return -errno;
    (void)snprintf(address.sun_path, sizeof(address.sun_path),
                   "/proc/self/fd/%d", path_fd);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    rv = -errno;
    (void)close(fd);
    return rv;
}

int spawn_connect_in(int dir_fd, const char *name)
{
    int path_fd = open_socket(dir_fd, name);
    int rv = path_fd;

    if (path_fd >= 0) {
        rv = connect_to(path_fd);
        (void)close(path_fd);
    }
    return rv;
}

/* The process that serves the socket, when it is another one that lives; 0 when
 * none does. The kernel is asked for the process that listened, since a helper
 * of a dead httpd (a CGI daemon) may hold a copy of the descriptor and never
 * answer. */
pid_t spawn_served_by(int dir_fd, const char *name)
{
    int fd = spawn_connect_in(dir_fd, name);
    pid_t pid = 0;

    if (fd < 0)
        return 0;
    if (spawn_os_peer(fd, &pid, NULL, NULL) < 0 || pid == getpid()
        || (kill(pid, 0) < 0 && errno == ESRCH))
        pid = 0;
    (void)close(fd);
    return pid;
}

/* bind(2), with mode and group of the file from its birth: to change them later
 * by name, in a directory of another account, could change whatever that
 * account put there. */
static int bind_as(int fd, const struct sockaddr_un *address, mode_t mode,
                   gid_t gid)
{
    mode_t before;
    int own, rv;

    if (fchmod(fd, mode) < 0)
        return -errno;
    own = setfsgid(gid);
    before = umask(0);
    rv = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0
             ? -errno
             : 0;
    (void)umask(before);
    (void)setfsgid((gid_t)own);
    return rv;
}

/* A listening socket in the place of an old one. Negative errno; -EEXIST when
 * something else than a socket stands there. */
int spawn_listen_in(int dir_fd, const char *name, mode_t mode, gid_t gid)
{
    struct sockaddr_un address;
    struct stat st;
    int rv = address_of(dir_fd, name, &address);
    int fd;

    if (rv < 0)
        return rv;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!S_ISSOCK(st.st_mode))
            return -EEXIST;
        if (unlinkat(dir_fd, name, 0) < 0)
            return -errno;
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* a caller passes no descriptors before the broker allows it after HELLO;
     * `control` is for its owner alone */
    if (mode & 077)
        (void)spawn_os_pass_descriptors(fd, false);
    rv = bind_as(fd, &address, mode, gid);
    if (rv == 0 && listen(fd, SOMAXCONN) < 0)
        rv = -errno;
    if (rv == 0)
        return fd;
    (void)close(fd);
    return rv;
}

/* A big buffer lets posts wait for a broker that is being replaced. Root may
 * exceed the system's limit; other accounts get what is allowed. */
static void widen(int tx)
{
    const int size = POST_BUFFER;

    if (setsockopt(tx, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
        (void)setsockopt(tx, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int spawn_post_make(uint8_t *secret, size_t size, int *ret_rx, int *ret_tx,
                    int *ret_inbox)
{
    int ends[2], inbox, rv;

    if (getrandom(secret, size, 0) != (ssize_t)size
        || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    inbox = spawn_os_memfd("spawn-inbox");
    rv = inbox < 0 ? inbox : spawn_os_pass_credentials(ends[0]);
    if (rv < 0)
        goto fail;
    widen(ends[1]);
    (void)spawn_os_pass_descriptors(ends[0], false);
    *ret_rx = ends[0];
    *ret_tx = ends[1];
    *ret_inbox = inbox;
    return 0;
fail:
    (void)close(ends[0]);
    (void)close(ends[1]);
    if (inbox >= 0)
        (void)close(inbox);
    return rv;
}
