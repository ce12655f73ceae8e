/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer target: the text forms of job fields, as users give them. The
 * first byte chooses the field.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_field.h"
#include "common/spawn_name.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const spawn_field *field;
    uint64_t a, b;
    spawn_failure why;
    spawn_writer w;
    char *text;

    if (size < 1)
        return 0;
    text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    spawn_writer_init(&w, 1 << 20);
    spawn_writer_begin(&w, SPAWN_M_SUBMIT, 0);
    field = spawn_field_at(data[0]);
    if (field)
        (void)spawn_field_put_text(&w, field, text, &why);
    else
        (void)spawn_parse_limit("memory", text, &a, &b);
    (void)spawn_queue_name_ok(text);
    (void)spawn_writer_finish(&w, 0);
    spawn_writer_free(&w);
    free(text);
    return 0;
}
