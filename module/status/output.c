/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captured output: text as text, bytes as bytes. Runs in httpd children, in the
 * thread of the request. Must bound what it writes, and must not take what a
 * program printed for anything that a browser would obey.
 */
#include "module/status/output.h"

#include <string.h>

#define TEXT_SHOWN  32768 /* at the beginning and at the end, each */
#define BYTES_SHOWN 256
#define PER_LINE    16

/* No text: it has NULs, or every tenth byte is no character. */
static bool is_binary(const uint8_t *p, size_t length)
{
    size_t at, n, odd = 0;
    size_t most = length > TEXT_SHOWN ? TEXT_SHOWN : length;

    for (at = 0; at < most; at += n ? n : 1) {
        n = spawn_utf8_length(p + at, length - at);
        if (p[at] == 0)
            return true;
        odd += n == 0;
    }
    return odd * 10 > most;
}

static void put_bytes(spawn_page *page, const uint8_t *p, size_t length)
{
    size_t most = length > BYTES_SHOWN ? BYTES_SHOWN : length, at, i;

    spawn_page_html(page, "<p class=\"soft\">Binary: not text.</p>\n"
                          "<pre tabindex=\"0\">");
    for (at = 0; at < most; at += PER_LINE) {
        spawn_page_format(page, "%08lx ", (unsigned long)at);
        for (i = at; i < at + PER_LINE; i++) {
            if (i < most)
                spawn_page_format(page, " %02x", p[i]);
            else
                spawn_page_html(page, "   ");
        }
        spawn_page_html(page, "  ");
        for (i = at; i < at + PER_LINE && i < most; i++) {
            char shown[2] = {(char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '.'),
                             '\0'};

            spawn_page_text(page, shown);
        }
        spawn_page_html(page, "\n");
    }
    spawn_page_html(page, "</pre>\n");
    if (length > most)
        spawn_page_format(page,
                          "<p class=\"soft\">%lu bytes more are not shown.</p>"
                          "\n",
                          (unsigned long)(length - most));
}

static void put_text(spawn_page *page, const uint8_t *p, size_t length)
{
    size_t left_out = 0;

    if (length > 2 * TEXT_SHOWN)
        left_out = length - 2 * TEXT_SHOWN;
    spawn_page_html(page, "<pre tabindex=\"0\">");
    spawn_page_bytes(page, p, left_out ? TEXT_SHOWN : length);
    spawn_page_html(page, "</pre>\n");
    if (!left_out)
        return;
    spawn_page_format(page,
                      "<p class=\"soft\">%lu bytes between are not shown.</p>\n"
                      "<pre tabindex=\"0\">",
                      (unsigned long)left_out);
    spawn_page_bytes(page, p + length - TEXT_SHOWN, TEXT_SHOWN);
    spawn_page_html(page, "</pre>\n");
}

static void put_part(spawn_page *page, const uint8_t *p, size_t length)
{
    if (length && is_binary(p, length))
        put_bytes(page, p, length);
    else if (length)
        put_text(page, p, length);
}

static void put_stream(spawn_page *page, const spawn_message *m,
                       const char *name, unsigned attr, unsigned lost_attr,
                       unsigned which, unsigned level)
{
    const spawn_attr *a = &m->attr[attr];
    uint64_t lost = spawn_u64_or(m, lost_attr, 0);
    uint64_t cut = spawn_cut_of(m, which);
    size_t head = a->length;
    unsigned long long all;

    if (!spawn_has(m, attr) && !lost)
        return;
    if (!spawn_has(m, attr))
        head = 0;
    all = head + cut;
    spawn_page_format(page,
                      "<section class=\"output\"><h%u>%s <small>%llu bytes"
                      "</small></h%u>\n",
                      level, name, all, level);
    if (lost == SPAWN_LOST_ALL)
        spawn_page_html(page, "<p class=\"notice bad\">It went with the job's "
                              "spawner.</p>\n");
    else if (lost)
        spawn_page_format(page,
                          "<p class=\"notice bad\">%llu bytes more were not "
                          "captured (capture_limit).</p>\n",
                          (unsigned long long)lost);
    if (all == SPAWN_SO_FAR_MAX
        && spawn_u64_or(m, SPAWN_A_STATE, 0) == SPAWN_STATE_RUNNING)
        spawn_page_html(page, "<p class=\"soft\">This is its beginning: "
                              "<code>spawnctl logs</code> has what comes "
                              "behind it, too.</p>\n");
    if (cut && head > SPAWN_KEPT_HEAD)
        head = SPAWN_KEPT_HEAD;
    put_part(page, a->data, head);
    if (cut) {
        spawn_page_format(page,
                          "<p class=\"soft\">%llu bytes are not kept any more."
                          "</p>\n",
                          (unsigned long long)cut);
        put_part(page, a->data + head, a->length - head);
    }
    spawn_page_html(page, "</section>\n");
}

/* Of stdout and stderr that are not captured. */
static void put_log_tail(spawn_page *page, const spawn_message *m,
                         unsigned level)
{
    const spawn_attr *a = &m->attr[SPAWN_A_LOG_TAIL];

    if (!spawn_has(m, SPAWN_A_LOG_TAIL))
        return;
    spawn_page_format(page,
                      "<section class=\"output\"><h%u>Error log <small>the "
                      "job's last lines there</small></h%u>\n",
                      level, level);
    put_part(page, a->data, a->length);
    spawn_page_html(page, "</section>\n");
}

void spawn_output_put(spawn_page *page, const spawn_message *m, unsigned level)
{
    put_stream(page, m, "stdout", SPAWN_A_OUT, SPAWN_A_OUT_LOST, 0, level);
    put_stream(page, m, "stderr", SPAWN_A_ERR, SPAWN_A_ERR_LOST, 1, level);
    put_log_tail(page, m, level);
}
