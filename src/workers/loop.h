/*
 * Priorities of everything on bitsd's loop: what ends comes before what begins, and the commit
 * comes last.
 */
#pragma once

enum {
        LOOP_WORKERS = 0,
        LOOP_BUS = 0,
        LOOP_PATIENCE = 10, /* what workers have said is heard before they are called silent */
        LOOP_ENGINE = 50,
        LOOP_TURN = 100, /* after all that happened in this iteration */
};
