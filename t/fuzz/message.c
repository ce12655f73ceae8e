/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: whole messages, as every reader takes them apart. The
 * first byte chooses who sent it and how many descriptors came.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* So that the compiler keeps the reads. */
volatile size_t looked_at;

/* Touch every byte that a reader would. */
static size_t walk(const spawn_message *m)
{
    size_t sum = 0;
    unsigned i;

    for (i = 0; i < SPAWN_A_COUNT; i++) {
        const spawn_attr *a = &m->attr[i];
        const char *text = NULL;
        uint32_t k;

        if (a->kind == SPAWN_KIND_STR)
            sum += strlen(spawn_attr_str(a));
        for (k = 0; a->kind == SPAWN_KIND_STRV && k < spawn_strv_count(a);
             k++) {
            text = spawn_strv_next(a, text);
            sum += strlen(text);
        }
        for (k = 0; a->kind == SPAWN_KIND_U64V && k < spawn_u64v_count(a); k++)
            sum += spawn_u64v_at(a, k);
        if (a->kind == SPAWN_KIND_STDIO) {
            spawn_stdio s;

            spawn_attr_stdio(a, &s);
            sum += strlen(s.path);
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static spawn_message m;
    spawn_failure why;
    unsigned from, fds;
    uint8_t *copy;

    if (size < 2)
        return 0;
    from = 1u << (data[0] & 7);
    fds = data[1] % (SPAWN_FDS_MAX + 1);
    data += 2;
    size -= 2;
    copy = malloc(size ? size : 1); /* exact, for the sanitizer */
    memcpy(copy, data, size);
    if (spawn_message_parse(copy, size, from, fds, &m, &why) == 0) {
        looked_at += walk(&m);
        if (m.header.type == SPAWN_M_SUBMIT || m.header.type == SPAWN_M_POST)
            (void)spawn_job_check(&m, &why);
    }
    if (spawn_body_parse(copy, size, SPAWN_BODY_QUEUE_RULES, 0, &m, &why) == 0)
        looked_at += walk(&m);
    free(copy);
    return 0;
}
