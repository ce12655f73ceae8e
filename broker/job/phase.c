/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the broker is in its life. Runs in the broker. Changes nothing: life.c
 * does.
 */
#include "broker/job/phase.h"

spawn_phase_now spawn_phase;

bool spawn_phase_launching(void)
{
    return spawn_phase.recovered && spawn_phase.going && !spawn_phase.lingering
           && !spawn_phase.quitting && !spawn_phase.spawner_gone;
}
