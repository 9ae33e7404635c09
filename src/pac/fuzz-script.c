/*
 * Any text as a configuration script: whatever it is, it ends in an answer or in a reason, and
 * leaves nothing behind. Loops that never end are not this fuzzer's affair (libFuzzer's -timeout
 * finds them at once); the process that asks scripts is ended by the kernel.
 */
#include "pac/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int resolve(void *userdata, const char *host, char ret[SCRIPT_ADDRESSES_MAX])
{
        (void)userdata;
        strcpy(ret, strlen(host) % 2 ? "192.0.2.1 2001:db8::1" : "");
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char before[] = "function FindProxyForURL(url, host) { return ";
        ScriptWorld world = { .resolve = resolve, .addresses = "192.0.2.7" };
        ScriptAnswer answer;
        char *text = malloc(sizeof(before) + size + 2);
        size_t n = 0;

        if (!text)
                return 0;
        /* Either a whole script, or what one function of it returns. */
        if (size > 0 && data[0] % 2) {
                memcpy(text, before, sizeof(before) - 1);
                n = sizeof(before) - 1;
        }
        memcpy(text + n, data, size);
        strcpy(text + n + size, n > 0 ? "}" : "");
        script_ask(text, &world, "http://example.org/", "example.org", &answer);
        assert(strlen(answer.text) <= SCRIPT_ANSWER_MAX);
        free(text);
        return 0;
}
