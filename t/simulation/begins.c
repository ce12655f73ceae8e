/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked before the broker's objects: where their variables begin.
 */
#include "t/simulation/body.h"

char body_data_begins[16] = {1};
char body_bss_begins[16];
