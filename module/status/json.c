/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON. Runs in httpd children, in the thread of the request. The program
 * spawnctl has a library for it, which httpd is not to load for a page: what is
 * needed to write JSON is to escape texts, and to set commas. Must write
 * nothing that is not UTF-8.
 */
#include "module/status/json.h"

#include <string.h>

#include "apr_base64.h"

static void write_bytes(spawn_page *page, const void *data, size_t length)
{
    if (length)
        (void)apr_brigade_write(page->out, NULL, NULL, data, length);
}

/* One that has to be escaped, or is no character; how many bytes it has. */
static size_t odd_character(spawn_gather *g, const uint8_t *p, size_t left,
                            bool *ret_valid)
{
    size_t length = spawn_utf8_length(p, left);
    char text[8] = {'\\', (char)*p};

    if (length > 1) {
        spawn_gather_add(g, p, length);
        return length;
    }
    if (length == 0) {
        *ret_valid = false;
        spawn_gather_text(g, "\xef\xbf\xbd");
        return 1;
    }
    if (*p != '"' && *p != '\\')
        (void)apr_snprintf(text, sizeof(text), "\\u%04x", *p);
    spawn_gather_text(g, text);
    return 1;
}

static bool string(spawn_page *page, const void *data, size_t left)
{
    const uint8_t *p = data;
    spawn_gather gather, *g = &gather;
    bool valid = true;
    size_t n;

    spawn_gather_begin(g, page);
    spawn_gather_text(g, "\"");
    for (; left > 0; p += n, left -= n) {
        for (n = 0; n < left && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"'
                    && p[n] != '\\';
             n++)
            ;
        if (n)
            spawn_gather_add(g, p, n);
        else
            n = odd_character(g, p, left, &valid);
    }
    spawn_gather_text(g, "\"");
    spawn_gather_end(g);
    return valid;
}

/* Comma and key. */
static void begin(spawn_page *page, const char *key)
{
    if (page->comma)
        spawn_page_html(page, ",");
    page->comma = true;
    if (!key)
        return;
    (void)string(page, key, strlen(key));
    spawn_page_html(page, ":");
}

void spawn_json_open(spawn_page *page, const char *key, char bracket)
{
    begin(page, key);
    write_bytes(page, &bracket, 1);
    page->comma = false;
}

void spawn_json_close(spawn_page *page, char bracket)
{
    write_bytes(page, &bracket, 1);
    page->comma = true;
}

bool spawn_json_bytes(spawn_page *page, const char *key, const void *data,
                      size_t length)
{
    begin(page, key);
    return string(page, data, length);
}

void spawn_json_text(spawn_page *page, const char *key, const char *text)
{
    (void)spawn_json_bytes(page, key, text, strlen(text));
}

void spawn_json_base64(spawn_page *page, const char *key, const void *data,
                       size_t length)
{
    char *text = apr_palloc(page->r->pool,
                            (apr_size_t)apr_base64_encode_len((int)length));

    (void)apr_base64_encode_binary(text, data, (int)length);
    spawn_json_text(page, key, text);
}

void spawn_json_word(spawn_page *page, const char *key, const char *word)
{
    begin(page, key);
    spawn_page_html(page, word);
}

void spawn_json_number(spawn_page *page, const char *key, uint64_t number)
{
    begin(page, key);
    spawn_page_format(page, "%" APR_UINT64_T_FMT, number);
}

void spawn_json_signed(spawn_page *page, const char *key, int64_t number)
{
    begin(page, key);
    spawn_page_format(page, "%" APR_INT64_T_FMT, number);
}

void spawn_json_time(spawn_page *page, const char *key, uint64_t ms)
{
    char text[64], key_ms[64];

    spawn_time_iso(ms, text, sizeof(text));
    spawn_json_text(page, key, text);
    (void)apr_snprintf(key_ms, sizeof(key_ms), "%s_ms", key);
    spawn_json_number(page, key_ms, ms);
}
