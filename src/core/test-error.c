/*
 * The table of codes holds together, and what a job meets leads where reference 04 says.
 */
#include "core/error-table.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum {
        BUS_NAME_BYTES = 32,
};

/* The search by halves depends on it. */
static void table_is_sorted_and_unique(void **state)
{
        (void)state;
        for (size_t i = 1; i < error_table_length; i++)
                if (error_table[i - 1].code >= error_table[i].code)
                        fail_msg("%s is out of order", error_table[i].name);
        for (size_t i = 0; i < error_table_length; i++)
                for (size_t j = i + 1; j < error_table_length; j++) {
                        assert_string_not_equal(error_table[i].name, error_table[j].name);
                        assert_string_not_equal(error_table[i].bus_name, error_table[j].bus_name);
                }
}

/* A bus name is one element: letters and digits, a capital first. A text is a sentence. */
static void every_entry_is_well_formed(void **state)
{
        (void)state;
        for (size_t i = 0; i < error_table_length; i++) {
                const ErrorEntry *e = &error_table[i];

                assert_true(isupper((unsigned char)e->bus_name[0]));
                assert_in_range(strlen(e->bus_name), 1, 48);
                for (const char *p = e->bus_name; *p; p++)
                        assert_true(isalnum((unsigned char)*p));
                assert_int_equal(e->text[strlen(e->text) - 1], '.');
                assert_true(isupper((unsigned char)e->text[0]));
        }
}

/* "BG_E_TOKEN_REQUIRED" -> "TokenRequired", for BITS's own codes. Those of the reserved block have
   the names of others, and none of them is ever answered. */
static void camel_case(BitsCode code, const char *name, char *ret)
{
        bool capital = true;

        if (code >= 0x8020002Fu && code <= 0x8020003Du)
                ret = stpcpy(ret, "Reserved");

        for (const char *p = name + strlen("BG_E_"); *p; p++) {
                if (*p != '_')
                        *ret++ = (char)(capital ? *p : tolower((unsigned char)*p));
                capital = *p == '_';
        }
        *ret = 0;
}

/* JOB-11: client authors can derive the bus name from the documented one. */
static void bus_names_follow_from_names(void **state)
{
        (void)state;
        for (size_t i = 0; i < error_table_length; i++) {
                const ErrorEntry *e = &error_table[i];
                char want[64], buffer[BUS_NAME_BYTES];

                if ((e->code & 0x7FFF0000u) != 0x00200000u)
                        continue;
                camel_case(e->code, e->name, want);
                assert_string_equal(error_bus_name(e->code, buffer), want);
        }
}

/* JOB-08 */
static void every_code_has_name_text_and_way_back(void **state)
{
        (void)state;
        for (size_t i = 0; i < error_table_length; i++) {
                const ErrorEntry *e = &error_table[i];
                char buffer[BUS_NAME_BYTES];

                assert_string_equal(error_name(e->code), e->name);
                assert_string_equal(error_text(e->code), e->text);
                assert_int_equal(error_from_bus_name(error_bus_name(e->code, buffer)), e->code);
        }
}

static void well_known_names(void **state)
{
        static const struct {
                BitsCode code;
                const char *name, *bus_name;
        } known[] = {
                { BG_E_TOKEN_REQUIRED, "BG_E_TOKEN_REQUIRED", "TokenRequired" },
                { BITS_E_ACCESS_DENIED, "E_ACCESSDENIED", "AccessDenied" },
                { BITS_E_INVALID_ARGUMENT, "E_INVALIDARG", "InvalidArgument" },
                { BITS_E_NOT_IMPLEMENTED, "E_NOTIMPL", "NotImplemented" },
                { BITS_E_NO_INTERFACE, "E_NOINTERFACE", "NoInterface" },
                { BITS_E_INVALID_HANDLE, "E_HANDLE", "InvalidHandle" },
                { BITS_E_OUT_OF_MEMORY, "E_OUTOFMEMORY", "OutOfMemory" },
                { BITS_E_HTTP(404), "BG_E_HTTP_ERROR_404", "Http404" },
                { 0x80190194u, "BG_E_HTTP_ERROR_404", "Http404" },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(known); i++) {
                char buffer[BUS_NAME_BYTES];

                assert_string_equal(error_name(known[i].code), known[i].name);
                assert_string_equal(error_bus_name(known[i].code, buffer), known[i].bus_name);
        }
}

/* Statuses without a symbolic name travel as well. */
static void every_http_status_travels(void **state)
{
        (void)state;
        for (unsigned status = 100; status < 600; status++) {
                char buffer[BUS_NAME_BYTES], want[BUS_NAME_BYTES];

                snprintf(want, sizeof(want), "Http%u", status);
                assert_string_equal(error_bus_name(BITS_E_HTTP(status), buffer), want);
                assert_int_equal(error_from_bus_name(want), BITS_E_HTTP(status));
                assert_non_null(error_text(BITS_E_HTTP(status)));
        }
        assert_null(error_name(BITS_E_HTTP(499)));
}

static void unknown_codes_and_names(void **state)
{
        static const char *const names[] = { "",        "Failed",   "Http",    "Http099",
                                             "Http600", "Http4040", "Http40x", "tokenRequired" };
        char buffer[BUS_NAME_BYTES];

        (void)state;
        assert_null(error_name(0x8020FFFFu));
        assert_null(error_text(0x8020FFFFu));
        assert_string_equal(error_bus_name(0x8020FFFFu, buffer), "Failed");
        assert_string_equal(error_bus_name(BITS_E_HTTP(600), buffer), "Failed");
        assert_false(error_is_transient(0x8020FFFFu));
        assert_int_equal(error_from_bus_name(NULL), 0);
        for (size_t i = 0; i < ELEMENTS(names); i++)
                assert_int_equal(error_from_bus_name(names[i]), 0);
}

/* JOB-06 */
static void transient_and_fatal(void **state)
{
        static const BitsCode transient[] = {
                BG_E_DESTINATION_LOCKED,
                BG_E_NETWORK_DISCONNECTED,
                BITS_E_PROCESS_ABORTED,
                BITS_E_TIMEOUT,
                BITS_E_NAME_NOT_RESOLVED,
                BITS_E_CANNOT_CONNECT,
                BITS_E_CONNECTION_ERROR,
                BITS_E_TOO_MANY_OPEN_FILES,
                BITS_E_OUT_OF_MEMORY,
                0x8020003Eu,
                0x80200059u,
                0x80200065u,
                0x80200067u,
                0x80200068u,
                0x8020006Fu,
                0x8020001Fu,
                0x80072F78u,
        };
        static const BitsCode fatal[] = {
                BG_E_TOKEN_REQUIRED,   BITS_E_ACCESS_DENIED,  BITS_E_DISK_FULL,
                BITS_E_QUOTA_EXCEEDED, BITS_E_WRITE_FAULT,    BITS_E_SECURE_FAILURE,
                BITS_E_PATH_NOT_FOUND, BITS_E_FILE_NOT_FOUND, BG_E_INSUFFICIENT_RANGE_SUPPORT,
                BITS_E_UNEXPECTED,     0x8020001Du,           0x80200053u,
                0x80200054u,           BITS_E_WRITE_PROTECT,  BG_E_INVALID_SERVER_RESPONSE,
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(transient); i++)
                if (!error_is_transient(transient[i]))
                        fail_msg("0x%08X is not tried again", transient[i]);
        for (size_t i = 0; i < ELEMENTS(fatal); i++)
                if (error_is_transient(fatal[i]))
                        fail_msg("0x%08X is tried again", fatal[i]);
}

/* JOB-06: reference 04 section 4.1, status by status. */
static void transient_and_fatal_statuses(void **state)
{
        (void)state;
        for (unsigned status = 100; status < 600; status++) {
                bool want;

                if (status >= 300 && status < 400)
                        want = status == 306 || status > 308; /* 308 is a redirect like 301 */
                else if (status >= 400 && status < 500)
                        want = status == 408 || status == 409 || status == 429;
                else if (status >= 500)
                        want = status != 501 && status != 505;
                else
                        want = status != 200;
                if (error_is_transient(BITS_E_HTTP(status)) != want)
                        fail_msg("status %u", status);
        }
}

/* What the table says about a status is what the rule says. */
static void table_and_rule_agree(void **state)
{
        (void)state;
        for (size_t i = 0; i < error_table_length; i++)
                assert_int_equal(error_is_transient(error_table[i].code),
                                 error_table[i].kind == ERROR_TRANSIENT);
}

/* JOB-07 */
static void errno_becomes_a_code_with_a_text(void **state)
{
        static const struct {
                int error;
                BitsCode code;
        } cases[] = {
                { ENOSPC, BITS_E_DISK_FULL },
                { EDQUOT, BITS_E_QUOTA_EXCEEDED },
                { EACCES, BITS_E_ACCESS_DENIED },
                { EPERM, BITS_E_ACCESS_DENIED },
                { ENOENT, BITS_E_PATH_NOT_FOUND },
                { ENOTDIR, BITS_E_PATH_NOT_FOUND },
                { ESTALE, BITS_E_FILE_NOT_FOUND },
                { EROFS, BITS_E_WRITE_PROTECT },
                { EXDEV, BG_E_VOLUME_CHANGED },
                { EIO, BITS_E_WRITE_FAULT },
                { EFBIG, BITS_E_FILE_TOO_LARGE },
                { EMFILE, BITS_E_TOO_MANY_OPEN_FILES },
                { ENFILE, BITS_E_TOO_MANY_OPEN_FILES },
                { ENOMEM, BITS_E_OUT_OF_MEMORY },
                { EEXIST, BITS_E_ALREADY_EXISTS },
                { EISDIR, BITS_E_INVALID_ARGUMENT },
                { EINVAL, BITS_E_INVALID_ARGUMENT },
                { ELOOP, BITS_E_INVALID_ARGUMENT },
                { ENAMETOOLONG, BITS_E_INVALID_ARGUMENT },
                { EDOM, BITS_E_UNEXPECTED },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(code_from_errno(cases[i].error), cases[i].code);
        for (int error = 1; error < 134; error++)
                assert_non_null(error_text(code_from_errno(error)));
}

/* JOB-09 */
static void contexts_have_words_and_texts(void **state)
{
        (void)state;
        for (ErrorContext c = 0; c < CONTEXT_MAX; c++) {
                assert_non_null(error_context_name(c));
                assert_non_null(error_context_text(c));
        }
        assert_int_equal(CONTEXT_REMOTE_FILE, 5);
        assert_string_equal(error_context_name(CONTEXT_REMOTE_FILE), "remote-file");
        assert_non_null(strstr(error_context_text(CONTEXT_LOCAL_FILE), "local file"));
        assert_null(error_context_name(CONTEXT_MAX));
        assert_null(error_context_text(CONTEXT_INVALID));
}

static void fault_is_released(void **state)
{
        Fault fault = { CONTEXT_LOCAL_FILE, BITS_E_DISK_FULL, strdup("the disk is full") };

        (void)state;
        fault_done(&fault);
        assert_null(fault.detail);
        assert_int_equal(fault.code, 0);
        fault_done(&fault);
}

/* UPL-400 */
static void reading_a_source_is_not_writing(void **state)
{
        (void)state;
        assert_int_equal(code_from_source_errno(EIO), BITS_E_READ_FAULT);
        assert_true(error_is_transient(code_from_source_errno(EIO)));
        assert_int_equal(code_from_errno(EIO), BITS_E_WRITE_FAULT);
        assert_int_equal(code_from_source_errno(EACCES), BITS_E_ACCESS_DENIED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reading_a_source_is_not_writing),
                cmocka_unit_test(table_is_sorted_and_unique),
                cmocka_unit_test(every_entry_is_well_formed),
                cmocka_unit_test(bus_names_follow_from_names),
                cmocka_unit_test(every_code_has_name_text_and_way_back),
                cmocka_unit_test(well_known_names),
                cmocka_unit_test(every_http_status_travels),
                cmocka_unit_test(unknown_codes_and_names),
                cmocka_unit_test(transient_and_fatal),
                cmocka_unit_test(transient_and_fatal_statuses),
                cmocka_unit_test(table_and_rule_agree),
                cmocka_unit_test(errno_becomes_a_code_with_a_text),
                cmocka_unit_test(contexts_have_words_and_texts),
                cmocka_unit_test(fault_is_released),
        };

        return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
