#include "basic/tally.h"

#include <search.h>

typedef struct Count {
        uid_t uid;
        size_t n;
} Count;

static int compare(const void *a, const void *b)
{
        const Count *x = a, *y = b;

        return x->uid < y->uid ? -1 : x->uid > y->uid ? 1 : 0;
}

static Count *find(const Tally *tally, uid_t uid)
{
        Count key = { .uid = uid };
        Count **found = tfind(&key, &tally->root, compare);

        return found ? *found : NULL;
}

void tally_done(Tally *tally)
{
        tdestroy(tally->root, free);
        tally->root = NULL;
}

size_t tally_get(const Tally *tally, uid_t uid)
{
        const Count *count = find(tally, uid);

        return count ? count->n : 0;
}

int tally_up(Tally *tally, uid_t uid)
{
        Count *count = find(tally, uid);

        if (!count) {
                count = calloc(1, sizeof(*count));
                if (!count)
                        return -ENOMEM;
                count->uid = uid;
                if (!tsearch(count, &tally->root, compare)) {
                        free(count);
                        return -ENOMEM;
                }
        }
        count->n++;
        return 0;
}

void tally_down(Tally *tally, uid_t uid)
{
        Count *count = find(tally, uid);

        if (!count || --count->n > 0)
                return;
        (void)tdelete(count, &tally->root, compare);
        free(count);
}
