/*
 * What a network costs, as jobs and settings speak of it: its states, and the sets of states in
 * which a job may run (reference 05 section 9).
 */
#pragma once

#include "core/error.h"

/* BITS_COST_STATE_…: what kind of network there is. */
enum {
        COST_UNRESTRICTED = 0x01,
        COST_CAPPED_USAGE_UNKNOWN = 0x02,
        COST_BELOW_CAP = 0x04,
        COST_NEAR_CAP = 0x08,
        COST_OVERCAP_CHARGED = 0x10,
        COST_OVERCAP_THROTTLED = 0x20,
        COST_USAGE_BASED = 0x40,
        COST_ROAMING = 0x80,
};
#define COST_OPTION_IGNORE_CONGESTION 0x80000000u
/* BITS_JOB_TRANSFER_POLICY_…: the states in which a job may run. */
#define TRANSFER_POLICY_ALWAYS        0x800000FFu
#define TRANSFER_POLICY_NOT_ROAMING   0x8000007Fu
#define TRANSFER_POLICY_NO_SURCHARGE  0x8000006Fu
#define TRANSFER_POLICY_STANDARD      0x80000067u
#define TRANSFER_POLICY_UNRESTRICTED  0x80000021u

/* A job's own cost flags: bits of these states, with at least one of them; 0: it has none. 0, or
   BITS_E_INVALID_ARGUMENT. */
BitsCode cost_check_flags(uint64_t flags);
