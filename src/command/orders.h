/*
 * Between the two processes of bits-command. The speaker, in a sandbox, reads what bitsd sends and
 * hands the runner three numbers; the runner, in none, starts the command and says two. So nothing
 * that comes from bitsd is parsed by anybody who could do harm with it.
 */
#pragma once

#include <stdint.h>

/* Speaker to runner, once. */
typedef struct Order {
        uint32_t event, code, seconds; /* as in COMMAND_RUN */
} Order;

typedef enum ReportKind {
        REPORT_STARTED, /* number: errno */
        REPORT_ENDED,   /* number: as in COMMAND_ENDED */
        REPORT_KIND_MAX,
        REPORT_KIND_INVALID = -1,
} ReportKind;

/* Runner to speaker: one of each kind, or REPORT_STARTED with an error alone. */
typedef struct Report {
        uint32_t kind, number;
} Report;
