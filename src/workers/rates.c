#include "workers/rates.h"

enum {
        BYTES_PER_KBIT = 125,
};

static_assert((int)NET_FOREGROUND == (int)PRIORITY_FOREGROUND, "classes are priorities");
static_assert((int)NET_HIGH == (int)PRIORITY_HIGH, "classes are priorities");
static_assert((int)NET_NORMAL == (int)PRIORITY_NORMAL, "classes are priorities");
static_assert((int)NET_LOW == (int)PRIORITY_LOW, "classes are priorities");

void sharing_init(Sharing *sharing)
{
        *sharing = (Sharing){ .rates.all = RATE_UNLIMITED };
        for (int p = 0; p < PRIORITY_MAX; p++)
                sharing->rates.of[p] = RATE_UNLIMITED;
}

bool sharing_set(Sharing *sharing, const Rates *rates)
{
        bool other = !rates_equal(&sharing->rates, rates);

        sharing->rates = *rates;
        return other;
}

bool sharing_join(Sharing *sharing, Share *share, NetClass class)
{
        bool other = share->paced[class] == 0;

        if (class == NET_FOREGROUND)
                return false;
        if (share->paced[class]++ == 0)
                sharing->workers[class]++;
        if (share->all++ == 0) {
                sharing->all++;
                LIST_INSERT_HEAD(&sharing->members, share, entries);
        }
        return other;
}

bool sharing_leave(Sharing *sharing, Share *share, NetClass class)
{
        if (class == NET_FOREGROUND)
                return false;
        assert(share->paced[class] > 0);
        if (--share->paced[class] == 0)
                sharing->workers[class]--;
        if (--share->all == 0) {
                sharing->all--;
                LIST_REMOVE(share, entries);
        }
        return share->paced[class] == 0;
}

/* POL-215: at least a byte a second, unless it is nothing. */
static uint64_t part(uint32_t rate, unsigned workers)
{
        uint64_t bytes = (uint64_t)rate * BYTES_PER_KBIT;

        if (rate == RATE_UNLIMITED)
                return RATE_NONE;
        if (workers > 1)
                bytes /= workers;
        return rate == 0 ? 0 : MAX(bytes, UINT64_C(1));
}

bool share_news(const Sharing *sharing, const Share *share, NetRates *ret)
{
        const NetRates *told = &share->told;

        *ret = (NetRates){
                .high = part(sharing->rates.of[PRIORITY_HIGH], sharing->workers[NET_HIGH]),
                .normal = part(sharing->rates.of[PRIORITY_NORMAL], sharing->workers[NET_NORMAL]),
                .low = part(sharing->rates.of[PRIORITY_LOW], sharing->workers[NET_LOW]),
                .all = part(sharing->rates.all, sharing->all)
        };
        if (share->limited)
                return told->high != ret->high || told->normal != ret->normal ||
                       told->low != ret->low || told->all != ret->all;
        return ret->high != RATE_NONE || ret->normal != RATE_NONE || ret->low != RATE_NONE ||
               ret->all != RATE_NONE;
}

void share_told(Share *share, const NetRates *rates)
{
        share->told = *rates;
        share->limited = true;
}

void share_forget(Share *share)
{
        share->limited = false;
}
