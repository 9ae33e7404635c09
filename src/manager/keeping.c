#include "manager/keeping.h"

#include "basic/clock.h"

#include <time.h>

enum {
        SYNC_BYTES =
                256 * 1024 * 1024,   /* unsynced bytes of a running transfer, at most about this */
        SYNC_USEC = 5 * 1000 * 1000, /* and for at most about that long */
};

void keeping_init(Keeping *k, Transfer *transfer, void (*on_synced)(Transfer *t, WorkResult result))
{
        *k = (Keeping){ .transfer = transfer, .on_synced = on_synced };
}

void keeping_done(Keeping *k)
{
        fill_mark_done(&k->mark);
}

static void keep(Keeping *k)
{
        Transfer *t = k->transfer;
        Ranges news = { 0 };

        fill_keep(t->file, &k->mark, &news);
        transfer_mark(t, STORE_LAZY);
        if (news.count > 0 && t->listener->on_kept)
                t->listener->on_kept(t->userdata, t, &news);
        ranges_done(&news);
}

/* DUR-14, DUR-23, DUR-24: after the disk said so. DUR-20, DUR-25, DUR-31, DUR-36 */
static void on_synced(void *userdata, FileAnswer *answer)
{
        Keeping *k = userdata;

        k->under_way = false;
        k->last = clock_usec(CLOCK_MONOTONIC);
        k->doubt = k->doubt || answer->doubtful;
        if (answer->result == WORK_DONE && answer->error == 0 && !k->doubt)
                keep(k);
        fill_mark_done(&k->mark);
        if (answer->error != 0)
                k->error = answer->error;
        k->on_synced(k->transfer, answer->result);
}

void keeping_begin(Keeping *k)
{
        if (!k->under_way)
                k->last = clock_usec(CLOCK_MONOTONIC);
}

void keeping_sync(Keeping *k)
{
        Transfer *t = k->transfer;

        k->due = k->under_way;
        if (!k->under_way)
                k->under_way = fill_mark(t->file, &k->mark) >= 0 &&
                               worker_sync(t->local, t->fd, on_synced, k) >= 0;
}

void keeping_sync_in_passing(Keeping *k)
{
        const File *file = k->transfer->file;
        uint64_t unsynced = file->written - file->kept;

        if (file->job->high_performance) /* RNG-186: at the end, once */
                return;
        if (!k->under_way && unsynced > 0 &&
            (unsynced >= SYNC_BYTES || clock_usec(CLOCK_MONOTONIC) - k->last >= SYNC_USEC))
                keeping_sync(k);
}
