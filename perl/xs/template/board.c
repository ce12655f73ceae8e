/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board of the job that this process is, and the bell by which its caller
 * hears of the result. Runs in the job only; a template has none.
 */
#include <unistd.h>

#include "perl/xs/template/template.h"

static spawn_board *board;
static spawn_kept_fd bell = SPAWN_KEPT_NONE; /* the function may close it */

void spawn_template_board_is(spawn_board *its_board, int its_bell)
{
    board = its_board;
    spawn_fd_keep(&bell, its_bell);
}

spawn_board *spawn_template_board(void)
{
    return board;
}

static void ring(void)
{
    const uint64_t once = 1;
    int fd = spawn_fd_kept(&bell);

    if (fd >= 0)
        (void)!write(fd, &once, sizeof(once));
}

bool spawn_template_put_bytes(unsigned kind, const char *data, size_t length)
{
    if (!board || spawn_board_put_result(board, kind, data, length) < 0)
        return false;
    ring();
    return true;
}

bool spawn_template_put_result(pTHX_ unsigned kind, SV *document)
{
    STRLEN length;
    const char *data = SvPV(document, length);

    return spawn_template_put_bytes(kind, data, length);
}
