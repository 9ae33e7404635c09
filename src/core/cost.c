#include "core/cost.h"

/* POL-211 */
BitsCode cost_check_flags(uint64_t flags)
{
        const uint64_t states = TRANSFER_POLICY_ALWAYS & ~COST_OPTION_IGNORE_CONGESTION;

        if (flags == 0)
                return 0;
        return (flags & ~(uint64_t)TRANSFER_POLICY_ALWAYS) == 0 && (flags & states) != 0
                       ? 0
                       : BITS_E_INVALID_ARGUMENT;
}
