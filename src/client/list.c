/*
 * Unknown keys of a job's dictionary are skipped: a newer service may say more. Words that are not
 * known are an error: a guess would show a wrong state.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "client/list.h"

#include "client/error-state.h"
#include "client/words.h"

struct bits_job_list {
        sd_bus_message *reply;
        bits_job_summary *jobs;
        size_t n, allocated;
};

struct bits_file_list {
        sd_bus_message *reply;
        bits_file_info *files;
        size_t n, allocated;
};

DEFINE_CLEANUP(bits_job_list, bits_job_list_free);
DEFINE_CLEANUP(bits_file_list, bits_file_list_free);

/* Room for one more element; the array at least doubles. */
static void *reserve(void *array, size_t n, size_t *allocated, size_t size)
{
        void *larger;

        if (n < *allocated)
                return array;
        larger = reallocarray(array, *allocated ? *allocated * 2 : 16, size);
        if (larger)
                *allocated = *allocated ? *allocated * 2 : 16;
        return larger;
}

typedef enum SummaryWord {
        WORD_TYPE,
        WORD_STATE,
        WORD_PRIORITY,
} SummaryWord;

static int read_word(sd_bus_message *m, SummaryWord which, bits_job_summary *job)
{
        const char *word;
        bool known = false;
        int r;

        r = sd_bus_message_read(m, "v", "s", &word);
        if (r < 0)
                return r;
        switch (which) {
        case WORD_TYPE:
                known = word_to_type(word, &job->type);
                break;
        case WORD_STATE:
                known = word_to_state(word, &job->state);
                break;
        case WORD_PRIORITY:
                known = word_to_priority(word, &job->priority);
                break;
        }
        return known ? 0 : -EBADMSG;
}

static int read_field(sd_bus_message *m, const char *key, bits_job_summary *job)
{
        const struct {
                const char *key, *type;
                void *value;
        } fields[] = {
                { "Id", "s", &job->id },
                { "DisplayName", "s", &job->display_name },
                { "Owner", "s", &job->owner_sid },
                { "OwnerUid", "u", &job->owner_uid },
                { "BytesTotal", "t", &job->bytes_total },
                { "BytesTransferred", "t", &job->bytes_transferred },
                { "FilesTotal", "u", &job->files_total },
                { "FilesTransferred", "u", &job->files_transferred },
                { "ErrorCode", "u", &job->error_code },
        };

        for (size_t i = 0; i < ELEMENTS(fields); i++)
                if (string_equal(key, fields[i].key))
                        return sd_bus_message_read(m, "v", fields[i].type, fields[i].value);
        if (string_equal(key, "Type"))
                return read_word(m, WORD_TYPE, job);
        if (string_equal(key, "State"))
                return read_word(m, WORD_STATE, job);
        if (string_equal(key, "Priority"))
                return read_word(m, WORD_PRIORITY, job);
        return sd_bus_message_skip(m, "v");
}

static int read_summary(sd_bus_message *m, bits_job_summary *ret)
{
        bits_job_summary job = { .bytes_total = BITS_SIZE_UNKNOWN };
        const char *key;
        int r;

        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                r = read_field(m, key, &job);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        if (!job.id || !job.display_name)
                return -EBADMSG;
        if (!job.owner_sid)
                job.owner_sid = "";
        *ret = job;
        return 0;
}

int job_list_new(sd_bus_message *reply, bits_job_list **ret_list)
{
        _cleanup_(bits_job_list_freep) bits_job_list *list = NULL;
        int r;

        list = calloc(1, sizeof(*list));
        if (!list)
                return error_state_oom();
        list->reply = sd_bus_message_ref(reply);

        r = sd_bus_message_enter_container(reply, 'a', "a{sv}");
        if (r < 0)
                return error_state_bad_reply(r);
        while ((r = sd_bus_message_enter_container(reply, 'a', "{sv}")) > 0) {
                void *room = reserve(list->jobs, list->n, &list->allocated, sizeof(*list->jobs));

                if (!room)
                        return error_state_oom();
                list->jobs = room;
                r = read_summary(reply, &list->jobs[list->n]);
                if (r < 0)
                        return error_state_bad_reply(r);
                list->n++;
                r = sd_bus_message_exit_container(reply);
                if (r < 0)
                        return error_state_bad_reply(r);
        }
        if (r < 0)
                return error_state_bad_reply(r);
        *ret_list = TAKE_PTR(list);
        return 0;
}

int file_list_new(sd_bus_message *reply, bits_file_list **ret_list)
{
        _cleanup_(bits_file_list_freep) bits_file_list *list = NULL;
        bits_file_info file;
        int r;

        list = calloc(1, sizeof(*list));
        if (!list)
                return error_state_oom();
        list->reply = sd_bus_message_ref(reply);

        r = sd_bus_message_enter_container(reply, 'a', "(sssttb)");
        if (r < 0)
                return error_state_bad_reply(r);
        while ((r = sd_bus_message_read(reply, "(sssttb)", &file.remote_name, &file.local_name,
                                        &file.temporary_name, &file.bytes_total,
                                        &file.bytes_transferred, &file.completed)) > 0) {
                void *room = reserve(list->files, list->n, &list->allocated, sizeof(*list->files));

                if (!room)
                        return error_state_oom();
                list->files = room;
                list->files[list->n++] = file;
        }
        if (r < 0)
                return error_state_bad_reply(r);
        *ret_list = TAKE_PTR(list);
        return 0;
}

size_t bits_job_list_count(const bits_job_list *list)
{
        return list ? list->n : 0;
}

const bits_job_summary *bits_job_list_get(const bits_job_list *list, size_t index)
{
        return list && index < list->n ? &list->jobs[index] : NULL;
}

void bits_job_list_free(bits_job_list *list)
{
        if (!list)
                return;
        sd_bus_message_unref(list->reply);
        free(list->jobs);
        free(list);
}

size_t bits_file_list_count(const bits_file_list *list)
{
        return list ? list->n : 0;
}

const bits_file_info *bits_file_list_get(const bits_file_list *list, size_t index)
{
        return list && index < list->n ? &list->files[index] : NULL;
}

void bits_file_list_free(bits_file_list *list)
{
        if (!list)
                return;
        sd_bus_message_unref(list->reply);
        free(list->files);
        free(list);
}
