#include "core/fill.h"

#include "core/remote-name.h"

enum {
        NEAR_BYTES = 1024 * 1024, /* a reader so little ahead is waited for */
        PIECES_MAX = 4096,        /* of a scattered file: more of them, and its gaps come first */
};

static Range range_between(uint64_t begin, uint64_t end)
{
        return (Range){ begin, end == JOB_SIZE_UNKNOWN ? RANGE_TO_END : end - begin };
}

/* ---- what comes next ---- */

static FillNext next_of_whole(const File *file, Part *ret)
{
        /* Of an empty file the server has to say that it is empty. */
        if (file->total != JOB_SIZE_UNKNOWN && file->total > 0 && file->written == file->total)
                return FILL_DONE;
        *ret = (Part){ .offset = file->written,
                       .end = JOB_SIZE_UNKNOWN,
                       .position = file->written };
        return FILL_FETCH;
}

/* RNG-170, RNG-179: one request for neighbours, else one for each range. */
static FillNext next_of_list(const File *file, Part *ret)
{
        Range range;

        if (file->written == file->total ||
            !range_list_locate(&file->wanted, file->remote_size, file->written, &range))
                return FILL_DONE;
        *ret = (Part){ .offset = range.offset,
                       .end = range_end(range),
                       .position = file->written,
                       .partial = true };
        return FILL_FETCH;
}

/* The first gap in what is requested, at or behind `from`. */
static bool requested_gap(const File *file, const Ranges *there, uint64_t from, Range *ret)
{
        for (size_t i = 0; i < file->requested.count; i++) {
                Range r = file->requested.items[i];
                uint64_t end = MIN(range_end(r), file->total);

                if (range_set_gap(there, MAX(r.offset, from), end, ret))
                        return true;
        }
        return false;
}

static bool find_gap(const File *file, const Ranges *there, Range *ret)
{
        bool hinted = file->hint != JOB_NO_HINT && there->count < PIECES_MAX;
        bool alone = file->job && file->job->on_demand;

        if (hinted && requested_gap(file, there, file->hint, ret))
                return true;
        if (hinted && !alone && range_set_gap(there, file->hint, file->total, ret))
                return true;
        if (requested_gap(file, there, 0, ret))
                return true;
        return !alone && range_set_gap(there, 0, file->total, ret);
}

/* RNG-190, RNG-191 */
static FillNext next_of_scattered(const File *file, Part *ret)
{
        Ranges there = { 0 };
        Range gap = { 0 };
        bool found;

        if (file->total != JOB_SIZE_UNKNOWN && file->written == file->total)
                return FILL_DONE;
        if (ranges_copy(&file->filled, &there) < 0 || range_set_add_all(&there, &file->fresh) < 0) {
                ranges_done(&there);
                return FILL_IDLE;
        }
        found = find_gap(file, &there, &gap);
        ranges_done(&there);
        if (!found)
                return FILL_IDLE;
        *ret = (Part){ .offset = gap.offset,
                       .end = range_end(gap),
                       .position = gap.offset,
                       .partial = true,
                       .keep_tail = true };
        return FILL_FETCH;
}

FillNext fill_next(const File *file, Part *ret)
{
        if (file->scattered)
                return next_of_scattered(file, ret);
        return file->wanted.count > 0 ? next_of_list(file, ret) : next_of_whole(file, ret);
}

/* ---- what is there ---- */

static void count_scattered(File *file)
{
        uint64_t kept = range_set_bytes(&file->filled);

        file_set_written(file, kept + range_set_bytes(&file->fresh));
        file_set_kept(file, kept);
}

bool fill_note(File *file, const Part *part, uint64_t position)
{
        uint64_t before = file->written;

        if (position <= part->position)
                return false;
        if (!file->scattered) {
                if (position > before)
                        file_set_written(file, position);
                return position > before;
        }
        /* What is kept stays what it was; a byte that cannot be noted is fetched again. */
        if (range_set_add(&file->fresh, range_between(part->position, position)) < 0 ||
            range_set_remove_all(&file->fresh, &file->filled) < 0)
                ranges_done(&file->fresh);
        count_scattered(file);
        return file->written > before;
}

void fill_set_remote_size(File *file, uint64_t size)
{
        file_set_remote_size(file, size);
        if (size != JOB_SIZE_UNKNOWN)
                (void)range_set_remove(&file->requested, (Range){ size, RANGE_TO_END - size });
}

/* RNG-192 */
bool fill_can_scatter(const File *file)
{
        const Job *job = file->job;
        bool answered =
                file->inode != 0 && (file->etag || file->last_modified || file->written > 0);

        if (file->wanted.count > 0 || job->dynamic_content || job->type != JOB_DOWNLOAD ||
            remote_name_is_file(file->remote_name) || http_has_custom_method(&job->http))
                return false;
        return file->scattered || file->resumable || !answered;
}

/* RNG-193: what the sequence had so far are the first pieces. */
static int scatter(File *file)
{
        int r = range_set_add(&file->filled, (Range){ 0, file->kept });

        if (r >= 0)
                r = range_set_add(&file->fresh,
                                  range_between(file->kept, MAX(file->written, file->kept)));
        if (r < 0) {
                ranges_done(&file->filled);
                ranges_done(&file->fresh);
                return r;
        }
        file->scattered = true;
        return 0;
}

int fill_begin(File *file)
{
        if (file->scattered || !file->job->on_demand || !fill_can_scatter(file))
                return 0;
        return scatter(file);
}

static bool is_near(uint64_t position, uint64_t wanted)
{
        return wanted >= position && wanted - position <= NEAR_BYTES;
}

bool fill_turn_aside(File *file, const Part *part, uint64_t position)
{
        Part next;

        if (file->hint == JOB_NO_HINT && file->requested.count == 0)
                return false;
        if (!file->scattered && (!fill_can_scatter(file) || !file->resumable ||
                                 file->total == JOB_SIZE_UNKNOWN || scatter(file) < 0))
                return false;
        if (fill_next(file, &next) != FILL_FETCH || is_near(position, next.offset))
                return false;
        /* A requested range is not left for another one, unless a reader waits elsewhere. */
        return file->hint != JOB_NO_HINT || position >= part->end ||
               !range_set_contains(&file->requested, (Range){ position, 1 });
}

uint64_t fill_kept_end(const File *file)
{
        return file->scattered ? range_set_end(&file->filled) : file->kept;
}

uint64_t fill_written_end(const File *file)
{
        return file->scattered ? MAX(range_set_end(&file->filled), range_set_end(&file->fresh))
                               : file->written;
}

/* ---- what is safe ---- */

int fill_mark(const File *file, FillMark *ret)
{
        *ret = (FillMark){ .written = file->written };
        return ranges_copy(&file->fresh, &ret->fresh);
}

void fill_mark_done(FillMark *mark)
{
        ranges_done(&mark->fresh);
        mark->written = 0;
}

/* DUR-170 */
void fill_keep(File *file, const FillMark *mark, Ranges *ret_news)
{
        uint64_t before = file->kept;

        if (!file->scattered) {
                file_set_kept(file, MAX(file->kept, MIN(mark->written, file->written)));
                if (file->wanted.count == 0)
                        (void)range_set_add(ret_news, (Range){ before, file->kept - before });
                return;
        }
        /* A file that began anew, or was scattered meanwhile, has nothing of this mark. */
        for (size_t i = 0; i < mark->fresh.count; i++) {
                Range r = mark->fresh.items[i];

                if (!range_set_contains(&file->fresh, r) || range_set_add(&file->filled, r) < 0)
                        continue;
                (void)range_set_remove(&file->fresh, r);
                (void)range_set_add(ret_news, r);
        }
        count_scattered(file);
}

void fill_restore(File *file)
{
        if (file->scattered)
                count_scattered(file);
        else
                file->written = MAX(file->written, file->kept);
}

void fill_forget_unkept(File *file)
{
        ranges_done(&file->fresh);
        if (file->scattered)
                count_scattered(file);
        else
                file_set_written(file, file->kept);
}
