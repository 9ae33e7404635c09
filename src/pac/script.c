/*
 * The interpreter is Duktape. Each question has an interpreter of its own: what a script keeps
 * about one job's URL it cannot tell to another's. All that a script can make go wrong in it ends
 * in a protected call; what cannot (the interpreter's own end) ends the process.
 */
#include "pac/script.h"

#include "basic/host-name.h"
#include "basic/log.h"
#include "basic/utf8.h"

#include <arpa/inet.h>
#include <duktape.h>
#include <malloc.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

static_assert(DUK_VERSION >= 20700, "an interpreter that is kept up");

static const char functions[] =
#include "functions.inc"
        ;

typedef struct Asked {
        const char *text;
        const ScriptWorld *world;
        const char *url, *host;
        size_t heap; /* bytes in use */
        unsigned names;
        ScriptAnswer *answer;
} Asked;

/* ---- memory: NET-447 ---- */

static void *on_allocate(void *userdata, duk_size_t size)
{
        Asked *asked = userdata;
        void *p;

        if (size > SCRIPT_HEAP_BYTES - MIN(asked->heap, (size_t)SCRIPT_HEAP_BYTES))
                return NULL;
        p = malloc(size);
        if (p)
                asked->heap += malloc_usable_size(p);
        return p;
}

static void on_free(void *userdata, void *p)
{
        Asked *asked = userdata;

        if (p)
                asked->heap -= malloc_usable_size(p);
        free(p);
}

static void *on_reallocate(void *userdata, void *p, duk_size_t size)
{
        Asked *asked = userdata;
        size_t before = p ? malloc_usable_size(p) : 0;
        void *moved;

        if (size == 0) {
                on_free(userdata, p);
                return NULL;
        }
        if (size > before &&
            size - before > SCRIPT_HEAP_BYTES - MIN(asked->heap, (size_t)SCRIPT_HEAP_BYTES))
                return NULL;
        moved = realloc(p, size);
        if (moved)
                asked->heap += malloc_usable_size(moved) - before;
        return moved;
}

_noreturn_ static void on_fatal(void *userdata, const char *message)
{
        (void)userdata;
        log_error("the interpreter has failed: %s", message ? message : "?");
        _exit(EX_SOFTWARE);
}

/* ---- what our functions need of the program ---- */

static Asked *asked_of(duk_context *context)
{
        duk_memory_functions memory;

        duk_get_memory_functions(context, &memory);
        return memory.udata;
}

/* Pushes a list of the words. */
static void push_words(duk_context *context, const char *words)
{
        duk_uarridx_t n = 0;

        duk_push_array(context);
        while (*(words += strspn(words, " "))) {
                size_t length = strcspn(words, " ");

                duk_push_lstring(context, words, length);
                duk_put_prop_index(context, -2, n++);
                words += length;
        }
}

static duk_ret_t look_up(duk_context *context)
{
        Asked *asked = asked_of(context);
        char addresses[SCRIPT_ADDRESSES_MAX] = "";
        duk_size_t length;
        const char *host = duk_require_lstring(context, 0, &length);

        if (host_name_is_plain(host, length)) {
                if (++asked->names > SCRIPT_NAMES_MAX)
                        return duk_error(context, DUK_ERR_RANGE_ERROR, "too many names");
                if (asked->world->resolve(asked->world->userdata, host, addresses) < 0)
                        return duk_error(context, DUK_ERR_ERROR, "nobody looks up names");
        }
        push_words(context, addresses);
        return 1;
}

static duk_ret_t bytes_of(duk_context *context)
{
        const char *address = duk_require_string(context, 0);
        uint8_t bytes[sizeof(struct in6_addr)];
        duk_uarridx_t n = 0;

        if (inet_pton(AF_INET, address, bytes) == 1)
                n = sizeof(struct in_addr);
        else if (inet_pton(AF_INET6, address, bytes) == 1)
                n = sizeof(struct in6_addr);
        if (n == 0) {
                duk_push_null(context);
                return 1;
        }
        duk_push_array(context);
        for (duk_uarridx_t i = 0; i < n; i++) {
                duk_push_uint(context, bytes[i]);
                duk_put_prop_index(context, -2, i);
        }
        return 1;
}

/* ---- one question ---- */

/* What the interpreter offers beyond the language is nothing that a script needs. */
static void remove_extras(duk_context *context)
{
        static const char *const extras[] = { "Duktape",     "CBOR",        "Buffer",
                                              "TextEncoder", "TextDecoder", "performance" };

        duk_push_global_object(context);
        for (size_t i = 0; i < ELEMENTS(extras); i++)
                (void)duk_del_prop_string(context, -1, extras[i]);
        duk_pop(context);
}

static void define_functions(duk_context *context, const Asked *asked)
{
        remove_extras(context);
        duk_push_string(context, "functions");
        duk_compile_lstring_filename(context, DUK_COMPILE_EVAL, functions, sizeof(functions) - 1);
        duk_call(context, 0);
        duk_push_global_object(context);
        duk_push_c_function(context, look_up, 1);
        push_words(context, asked->world->addresses);
        duk_push_c_function(context, bytes_of, 1);
        duk_call_method(context, 3);
        duk_pop(context);
}

static void push_as_utf8(duk_context *context, const char *text, size_t length)
{
        char *utf8 = duk_push_fixed_buffer(context, length * 2);
        size_t n = 0;

        for (size_t i = 0; i < length; i++) {
                unsigned char c = (unsigned char)text[i];

                if (c < 0x80)
                        utf8[n++] = (char)c;
                else {
                        utf8[n++] = (char)(0xc0 | c >> 6);
                        utf8[n++] = (char)(0x80 | (c & 0x3f));
                }
        }
        duk_push_lstring(context, utf8, n);
        duk_remove(context, -2);
}

/* A mark of its beginning is no part of the text. */
static void push_text(duk_context *context, const Asked *asked)
{
        static const char mark[] = "\xef\xbb\xbf";
        const char *text = asked->text;
        size_t characters;

        if (strncmp(text, mark, strlen(mark)) == 0)
                text += strlen(mark);
        if (utf8_length(text, &characters))
                duk_push_string(context, text);
        else
                push_as_utf8(context, text, strlen(text));
}

static bool push_finder(duk_context *context)
{
        static const char *const names[] = { "FindProxyForURLEx", "FindProxyForURL" };

        for (size_t i = 0; i < ELEMENTS(names); i++) {
                if (duk_get_global_string(context, names[i]) && duk_is_function(context, -1))
                        return true;
                duk_pop(context);
        }
        return false;
}

/* A copy that can stand in a log and in a message. */
static void set_text(ScriptAnswer *answer, bool failed, const char *text, size_t length)
{
        size_t n = MIN(length, (size_t)SCRIPT_ANSWER_MAX);

        answer->failed = failed;
        for (size_t i = 0; i < n; i++)
                answer->text[i] = text[i] >= 0x20 && text[i] < 0x7f      ? text[i]
                                  : text[i] && strchr("\t\r\n", text[i]) ? ' '
                                                                         : '?';
        answer->text[n] = 0;
}

static void fail(ScriptAnswer *answer, const char *why)
{
        set_text(answer, true, why, strlen(why));
}

static duk_ret_t ask(duk_context *context, void *userdata)
{
        Asked *asked = userdata;
        duk_size_t length;
        const char *text;

        define_functions(context, asked);
        push_text(context, asked);
        duk_push_string(context, "wpad.dat");
        duk_compile(context, 0);
        duk_call(context, 0);
        duk_pop(context);
        if (!push_finder(context)) {
                fail(asked->answer, "it has no function FindProxyForURL");
                return 0;
        }
        duk_push_string(context, asked->url);
        duk_push_string(context, asked->host);
        duk_call(context, 2);
        if (!duk_is_string(context, -1)) {
                fail(asked->answer, "it did not answer with a text");
                return 0;
        }
        text = duk_get_lstring(context, -1, &length);
        if (length > SCRIPT_ANSWER_MAX)
                fail(asked->answer, "its answer is too long");
        else
                set_text(asked->answer, false, text, length);
        return 0;
}

/* Protected itself: what is thrown may be an object with a mind of its own. */
static duk_ret_t describe(duk_context *context, void *userdata)
{
        Asked *asked = userdata;
        char sentence[300];
        duk_int_t line = 0;
        bool is_error = duk_is_error(context, -1);

        if (is_error) {
                duk_get_prop_string(context, -1, "lineNumber");
                line = duk_to_int(context, -1);
                duk_pop(context);
        }
        snprintf(sentence, sizeof(sentence), "line %d: %.250s", (int)line,
                 duk_safe_to_string(context, -1));
        fail(asked->answer, is_error ? sentence : sentence + strcspn(sentence, ":") + 2);
        return 0;
}

void script_ask(const char *text, const ScriptWorld *world, const char *url, const char *host,
                ScriptAnswer *ret)
{
        Asked asked = { .text = text, .world = world, .url = url, .host = host, .answer = ret };
        duk_context *context =
                duk_create_heap(on_allocate, on_reallocate, on_free, &asked, on_fatal);

        fail(ret, "there is no memory for it");
        if (!context)
                return;
        if (duk_safe_call(context, ask, &asked, 0, 1) != DUK_EXEC_SUCCESS) {
                fail(ret, "it failed");
                (void)duk_safe_call(context, describe, &asked, 1, 1);
        }
        duk_destroy_heap(context);
}
