/*
 * How files are filled: the next part of each kind of file, and a model that fetches, syncs, loses
 * and turns aside at random: in the end every byte was fetched, and none counted as kept before a
 * sync that began after it was written.
 */
#include "core/fill.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define UNKNOWN JOB_SIZE_UNKNOWN

typedef struct World {
        Job *job;
        File *file;
} World;

static World new_world(const char *wanted)
{
        static const uint8_t random[JOB_ID_BYTES];
        Ranges list = { 0 };
        World w;

        assert_int_equal(job_new(random, 1000, JOB_DOWNLOAD, "x", 1, &w.job), 0);
        assert_int_equal(file_new("http://host/a", "/srv/a", random, &w.file), 0);
        assert_int_equal(job_append_file(w.job, w.file), 0);
        assert_int_equal(ranges_parse(wanted, &list), 0);
        if (list.count > 0)
                assert_int_equal(file_set_wanted(w.file, &list), 0);
        ranges_done(&list);
        return w;
}

static void assert_part(const File *file, uint64_t offset, uint64_t end, uint64_t position,
                        bool partial)
{
        Part part;

        assert_int_equal(fill_next(file, &part), FILL_FETCH);
        assert_int_equal(part.offset, offset);
        assert_int_equal(part.end, end);
        assert_int_equal(part.position, position);
        assert_int_equal(part.partial, partial);
        assert_int_equal(part.keep_tail, file->scattered);
}

static void arrive(File *file, uint64_t bytes)
{
        Part part;

        assert_int_equal(fill_next(file, &part), FILL_FETCH);
        assert_true(fill_note(file, &part, part.position + bytes));
}

static void the_whole_file(void **state)
{
        World w = new_world("");
        Part part;

        (void)state;
        assert_part(w.file, 0, UNKNOWN, 0, false);
        fill_set_remote_size(w.file, 100);
        arrive(w.file, 60);
        assert_part(w.file, 60, UNKNOWN, 60, false);
        arrive(w.file, 40);
        assert_int_equal(fill_next(w.file, &part), FILL_DONE);
        job_free(w.job);
}

/* RNG-170: requested bytes are what counts. */
static void ranges_in_their_order(void **state)
{
        World w = new_world("500+100,0+50,50+50,900+*");
        Part part;

        (void)state;
        assert_int_equal(job_bytes_total(w.job), UNKNOWN);
        assert_part(w.file, 500, 600, 0, true);
        arrive(w.file, 30);
        assert_part(w.file, 530, 600, 30, true);
        fill_set_remote_size(w.file, 1000);
        assert_int_equal(job_bytes_total(w.job), 300);
        assert_int_equal(file_remote_size(w.file), 1000);
        arrive(w.file, 70);
        assert_part(w.file, 0, 100, 100, true);
        arrive(w.file, 100);
        assert_part(w.file, 900, 1000, 200, true);
        arrive(w.file, 100);
        assert_int_equal(fill_next(w.file, &part), FILL_DONE);
        assert_int_equal(w.job->bytes_written, 300);
        file_reset(w.file);
        assert_int_equal(w.job->bytes_written, 0);
        assert_int_equal(job_bytes_total(w.job), UNKNOWN);
        job_free(w.job);

        w = new_world("0+*"); /* is no list */
        assert_part(w.file, 0, UNKNOWN, 0, false);
        job_free(w.job);

        w = new_world("10+10");
        assert_int_equal(job_bytes_total(w.job), 10);
        job_free(w.job);
}

/* RNG-191: in on-demand mode nothing comes but what is asked for. */
static void on_demand(void **state)
{
        World w = new_world("");
        Part part;

        (void)state;
        w.job->on_demand = true;
        assert_int_equal(fill_begin(w.file), 0);
        assert_int_equal(fill_next(w.file, &part), FILL_IDLE);
        assert_int_equal(range_set_add(&w.file->requested, (Range){ 300, 100 }), 0);
        assert_int_equal(range_set_add(&w.file->requested, (Range){ 50, 10 }), 0);
        assert_part(w.file, 50, 60, 50, true);
        fill_set_remote_size(w.file, 350); /* what lies behind is forgotten */
        assert_int_equal(range_set_end(&w.file->requested), 350);
        arrive(w.file, 10);
        assert_part(w.file, 300, 350, 300, true);
        arrive(w.file, 50);
        assert_int_equal(fill_next(w.file, &part), FILL_IDLE);
        assert_int_equal(w.file->written, 60);
        assert_int_equal(fill_written_end(w.file), 350);
        assert_int_equal(range_set_add(&w.file->requested, (Range){ 0, RANGE_TO_END }), 0);
        assert_part(w.file, 0, 50, 0, true);
        arrive(w.file, 50);
        assert_part(w.file, 60, 300, 60, true);
        arrive(w.file, 240);
        assert_int_equal(fill_next(w.file, &part), FILL_DONE);
        job_free(w.job);
}

/* RNG-190: a reader far ahead is followed, one that is near is not, and then the gaps come. */
static void a_reader(void **state)
{
        enum { MIB = 1 << 20 };
        World w = new_world("");
        Part part;

        (void)state;
        w.file->resumable = true;
        w.file->inode = 1;
        fill_set_remote_size(w.file, 100 * MIB);
        assert_int_equal(fill_next(w.file, &part), FILL_FETCH);
        assert_true(fill_note(w.file, &part, 5 * MIB));
        assert_false(fill_turn_aside(w.file, &part, 5 * MIB));
        w.file->hint = 5 * MIB + MIB / 2;
        assert_false(fill_turn_aside(w.file, &part, 5 * MIB));
        w.file->hint = 90 * (uint64_t)MIB;
        assert_true(fill_turn_aside(w.file, &part, 5 * MIB));
        assert_part(w.file, 90 * MIB, 100 * MIB, 90 * MIB, true);
        arrive(w.file, 10 * MIB);
        assert_part(w.file, 5 * MIB, 90 * MIB, 5 * MIB, true);
        w.file->hint = 2 * MIB; /* is there */
        assert_part(w.file, 5 * MIB, 90 * MIB, 5 * MIB, true);
        job_free(w.job);
}

/* RNG-192 */
static void what_cannot_be_scattered(void **state)
{
        World w = new_world("10+10");

        (void)state;
        assert_false(fill_can_scatter(w.file));
        job_free(w.job);

        w = new_world("");
        assert_true(fill_can_scatter(w.file)); /* nobody knows yet */
        w.file->inode = 1;
        assert_int_equal(file_set_version(w.file, "\"x\"", NULL, false), 0);
        assert_false(fill_can_scatter(w.file)); /* the server said no */
        w.file->resumable = true;
        assert_true(fill_can_scatter(w.file));
        w.job->dynamic_content = true;
        assert_false(fill_can_scatter(w.file));
        job_free(w.job);
}

/* DUR-170: a sync of what is not wanted any more makes nothing safe. */
static void a_file_that_began_anew(void **state)
{
        World w = new_world("");
        Ranges news = { 0 };
        FillMark mark;

        (void)state;
        w.job->on_demand = true;
        assert_int_equal(fill_begin(w.file), 0);
        assert_int_equal(range_set_add(&w.file->requested, (Range){ 100, 50 }), 0);
        arrive(w.file, 50);
        assert_int_equal(fill_mark(w.file, &mark), 0);
        file_reset(w.file);
        assert_int_equal(fill_begin(w.file), 0);
        fill_keep(w.file, &mark, &news);
        assert_int_equal(w.file->kept, 0);
        assert_int_equal(news.count, 0);
        fill_mark_done(&mark);
        job_free(w.job);
}

/* ---- the model ---- */

enum {
        SIZE = 300,
        ROUNDS = 300,
        STEPS = 400,
};

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        return seed % below;
}

/* What the disk has, byte for byte. */
typedef struct Disk {
        bool written[SIZE], syncing[SIZE], safe[SIZE];
} Disk;

static void assert_honest(const File *file, const Disk *disk)
{
        uint64_t kept = 0;

        for (uint64_t i = 0; i < SIZE; i++) {
                bool claimed = file->scattered ? range_set_contains(&file->filled, (Range){ i, 1 })
                                               : i < file->kept;

                kept += claimed;
                assert_true(!claimed || disk->safe[i]);
        }
        assert_int_equal(kept, file->kept);
        assert_true(file->kept <= file->written);
}

typedef struct Play {
        World w;
        Disk disk;
        FillMark mark;
        bool syncing;
        Ranges news;
} Play;

static void finish_sync(Play *p, bool success)
{
        if (!p->syncing)
                return;
        for (size_t i = 0; success && i < SIZE; i++)
                p->disk.safe[i] = p->disk.safe[i] || p->disk.syncing[i];
        if (success)
                fill_keep(p->w.file, &p->mark, &p->news);
        fill_mark_done(&p->mark);
        p->syncing = false;
}

static void begin_sync(Play *p)
{
        if (p->syncing)
                return;
        memcpy(p->disk.syncing, p->disk.written, sizeof(p->disk.written));
        assert_int_equal(fill_mark(p->w.file, &p->mark), 0);
        p->syncing = true;
}

static void fetch(Play *p)
{
        Part part;
        uint64_t n;

        if (fill_next(p->w.file, &part) != FILL_FETCH)
                return;
        n = 1 + draw(MIN(part.end, (uint64_t)SIZE) - part.offset);
        for (uint64_t i = 0; i < n; i++)
                p->disk.written[part.position + i] = true;
        (void)fill_note(p->w.file, &part, part.position + n);
        (void)fill_turn_aside(p->w.file, &part, part.position + n);
}

static void step(Play *p)
{
        File *file = p->w.file;

        switch (draw(12)) {
        case 0:
                begin_sync(p);
                break;
        case 1:
                finish_sync(p, draw(4) > 0);
                break;
        case 2: /* a worker died, or the machine did */
                finish_sync(p, false);
                fill_forget_unkept(file);
                memcpy(p->disk.written, p->disk.safe, sizeof(p->disk.safe));
                break;
        case 3:
                file->hint = draw(3) == 0 ? JOB_NO_HINT : draw(SIZE);
                break;
        case 4:
                (void)range_set_add(&file->requested, (Range){ draw(SIZE), 1 + draw(20) });
                break;
        default:
                fetch(p);
        }
        assert_honest(file, &p->disk);
}

/* DUR-170, RNG-193 */
static void nothing_counts_before_it_is_safe(void **state)
{
        (void)state;
        for (unsigned round = 0; round < ROUNDS; round++) {
                Play p = { .w = new_world("") };
                Part part;

                seed = round + 1;
                p.w.job->on_demand = round % 2 == 0;
                p.w.file->resumable = true;
                p.w.file->inode = 1;
                assert_int_equal(fill_begin(p.w.file), 0);
                fill_set_remote_size(p.w.file, SIZE);
                for (unsigned i = 0; i < STEPS; i++)
                        step(&p);
                (void)range_set_add(&p.w.file->requested, (Range){ 0, SIZE });
                while (fill_next(p.w.file, &part) == FILL_FETCH)
                        fetch(&p);
                assert_int_equal(fill_next(p.w.file, &part), FILL_DONE);
                finish_sync(&p, true);
                begin_sync(&p);
                finish_sync(&p, true);
                assert_honest(p.w.file, &p.disk);
                assert_int_equal(p.w.file->kept, SIZE);
                for (size_t i = 0; i < SIZE; i++)
                        assert_true(p.disk.safe[i]);
                ranges_done(&p.news);
                job_free(p.w.job);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_whole_file),
                cmocka_unit_test(ranges_in_their_order),
                cmocka_unit_test(on_demand),
                cmocka_unit_test(a_reader),
                cmocka_unit_test(what_cannot_be_scattered),
                cmocka_unit_test(a_file_that_began_anew),
                cmocka_unit_test(nothing_counts_before_it_is_safe),
        };

        return cmocka_run_group_tests_name("fill", tests, NULL, NULL);
}
