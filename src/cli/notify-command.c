/*
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cli/notify-command.h"

#include "cli/format.h"

#include <inttypes.h>
#include <stdio.h>

/* CLI-240. A path with a space in it cannot be written here, nor need it be quoted. */
int notify_command_set(bits_job *job, const char *text)
{
        size_t length = strcspn(text, " \t");
        _cleanup_free_ char *program = strndup(text, length);

        if (!program)
                return -ENOMEM;
        return bits_job_set_notify_cmd_line(job, *text ? program : NULL,
                                            text[length] ? text : NULL);
}

/* Programs whose argv[0] is another name say so. */
char *notify_command_text(const char *program, const char *parameters)
{
        size_t length = strlen(program);
        char *text = NULL;

        if (string_empty(parameters))
                return strdup(program);
        if (strncmp(parameters, program, length) == 0 &&
            (!parameters[length] || parameters[length] == ' '))
                return strdup(parameters);
        return asprintf(&text, "%s (as: %s)", program, parameters) < 0 ? NULL : text;
}

static int give(char *text, char **ret_text)
{
        *ret_text = text;
        return text ? 0 : -ENOMEM;
}

int notify_command_get(bits_job *job, char **ret_text)
{
        _cleanup_free_ char *program = NULL, *parameters = NULL;
        int r = bits_job_get_notify_cmd_line(job, &program, &parameters);

        if (r < 0)
                return r;
        return give(program ? notify_command_text(program, parameters) : strdup(""), ret_text);
}

typedef char *(*StateText)(const bits_notify_state *state);

static int get(bits_job *job, StateText text_of, char **ret_text)
{
        bits_notify_state state;
        int r = bits_job_get_notify_state(job, &state);
        char *text;

        if (r < 0)
                return r;
        text = r > 0 ? text_of(&state) : strdup("");
        bits_notify_state_done(&state);
        return give(text, ret_text);
}

static char *author(const bits_notify_state *state)
{
        return format_user(state->author_uid);
}

static char *last_run(const bits_notify_state *state)
{
        char text[FORMAT_SIZE];

        return strdup(state->started ? format_time(state->started, text) : "");
}

static char *runs(const bits_notify_state *state)
{
        char *text = NULL;

        return asprintf(&text, "%" PRIu32, state->runs) < 0 ? NULL : text;
}

static char *result(const bits_notify_state *state)
{
        return strdup(state->result);
}

static char *objection(const bits_notify_state *state)
{
        return strdup(state->objection);
}

/* CLI-241 */
int notify_author_get(bits_job *job, char **ret_text)
{
        return get(job, author, ret_text);
}

int notify_last_run_get(bits_job *job, char **ret_text)
{
        return get(job, last_run, ret_text);
}

int notify_runs_get(bits_job *job, char **ret_text)
{
        return get(job, runs, ret_text);
}

int notify_result_get(bits_job *job, char **ret_text)
{
        return get(job, result, ret_text);
}

int notify_objection_get(bits_job *job, char **ret_text)
{
        return get(job, objection, ret_text);
}
