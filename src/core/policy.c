/*
 * Rights, limits and names. Each question that a caller's uid or argument raises has its answer
 * here, as data where it can be, so that the same rule cannot be written twice and drift.
 *
 * How much everybody may hold is a fact of this file, but for the limits that have a name in BITS's
 * policies: those are bitsd.conf's, one for the process as it has one policy.
 */
#include "core/policy.h"

#include "basic/utf8.h"

#include "core/identity.h"
#include "core/remote-name.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <strings.h>

enum {
        PORT_MAX = 65535,
};

/* ---- rights ---- */

enum {
        RIGHTS_OF_ALL_ADMINISTRATORS =
                RIGHT_READ | RIGHT_MODIFY | RIGHT_HELPER | RIGHT_FILES | RIGHT_ADMINISTER,
};

/* JOB-10, SEC-68 */
unsigned policy_rights(uid_t caller, uid_t owner)
{
        unsigned rights = identity_is_administrator(caller) ? RIGHTS_OF_ALL_ADMINISTRATORS : 0;

        if (caller == owner)
                rights |= RIGHT_READ | RIGHT_MODIFY | RIGHT_OWNER | RIGHT_HELPER | RIGHT_FILES;
        return rights;
}

/* SEC-92: who may name the files of root's jobs is root. To let somebody manage jobs is not to let
   him be root. */
unsigned policy_rights_authorized(bool owner_elevated)
{
        return owner_elevated ? RIGHT_READ : RIGHTS_OF_ALL_ADMINISTRATORS;
}

/* HND-35, HND-36: as in BITS a handle outlives the change, but the old owner must not name files
   that another identity writes. */
unsigned policy_rights_kept(unsigned rights, uid_t opener, uid_t new_owner)
{
        if (opener == new_owner || identity_is_administrator(opener))
                return rights & (policy_rights(opener, new_owner) | RIGHT_ADMINISTER);
        return rights & (RIGHT_READ | RIGHT_MODIFY | RIGHT_HELPER);
}

/* TOK-07, TOK-48, TOK-49, TOK-60, TOK-81: the two conditions for a caller without administrator
   rights. To be let manage all jobs stands for the ownership, never for the elevation. */
static BitsCode check_helper(uid_t opener, bool entitled, bool token_is_administrator)
{
        if (identity_is_administrator(opener))
                return 0;
        return entitled && !token_is_administrator ? 0 : BITS_E_ACCESS_DENIED;
}

BitsCode policy_set_helper_token(uid_t opener, bool entitled, uid_t token_uid)
{
        return check_helper(opener, entitled, identity_is_administrator(token_uid));
}

/* TOK-08, TOK-61 */
BitsCode policy_set_helper_flags(uid_t opener, bool entitled, bool has_token, uid_t token_uid)
{
        return check_helper(opener, entitled, has_token && identity_is_administrator(token_uid));
}

/* TOK-09 */
BitsCode policy_use_helper(uid_t opener, bool entitled)
{
        return check_helper(opener, entitled, false);
}

/* TOK-373: whatever the flags are by now, as they may be set after the file was named. */
BitsCode policy_name_files(uid_t opener, bool has_token, uid_t token_uid)
{
        return check_helper(opener, true, has_token && identity_is_administrator(token_uid));
}

/* HND-43 */
uint32_t policy_integrity(uid_t owner)
{
        if (identity_is_administrator(owner))
                return INTEGRITY_SYSTEM;
        return identity_is_service_account(owner) ? INTEGRITY_HIGH : INTEGRITY_MEDIUM;
}

/* ---- limits ---- */

static const Config *in_force; /* NULL: the defaults */

void policy_use(const Config *config)
{
        in_force = config;
}

static const Config *config(void)
{
        static Config defaults;

        if (in_force)
                return in_force;
        if (defaults.max_jobs_per_machine == 0)
                config_init(&defaults);
        return &defaults;
}

/* LIM-01 … LIM-04, POL-200: the limits that an administrator sets. */
static const struct {
        size_t offset; /* in the Config */
        BitsCode code;
} policies[] = {
        [LIMIT_JOBS_PER_MACHINE] = { offsetof(Config, max_jobs_per_machine),
                                     BG_E_TOO_MANY_JOBS_PER_MACHINE },
        [LIMIT_JOBS_PER_USER] = { offsetof(Config, max_jobs_per_user),
                                  BG_E_TOO_MANY_JOBS_PER_USER },
        [LIMIT_FILES_PER_JOB] = { offsetof(Config, max_files_per_job), BG_E_TOO_MANY_FILES_IN_JOB },
        [LIMIT_RANGES_PER_FILE] = { offsetof(Config, max_ranges_per_file),
                                    BG_E_TOO_MANY_RANGES_IN_FILE },
};

/* The others. `people` for everybody, `service` for service accounts, `root` for root. */
static const struct {
        uint32_t people, service, root;
        BitsCode code;
} limits[] = {
        [LIMIT_HANDLES_PER_USER] = { 4096, 4096, 65536, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_CONNECTIONS_PER_USER] = { 256, 256, 4096, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_STRAYS_PER_USER] = { 256, 256, 256, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_QUESTIONS_PER_USER] = { 32, 32, 32, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_CALLS_PER_USER] = { 256, 256, 4096, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_JOBS_PER_CALL] = { 1000, 1000, 1000, BITS_E_INVALID_ARGUMENT },
        [LIMIT_FINISHED_PER_USER] = { 64, 1024, 1024, BITS_E_TOO_MANY_OPEN_FILES },
        [LIMIT_DISPLAY_NAME_CHARACTERS] = { 256, 256, 256, BG_E_STRING_TOO_LONG },
        [LIMIT_DESCRIPTION_CHARACTERS] = { 1024, 1024, 1024, BG_E_STRING_TOO_LONG },
        [LIMIT_REMOTE_NAME_CHARACTERS] = { 2200, 2200, 2200, BITS_E_INVALID_ARGUMENT },
        [LIMIT_LOCAL_NAME_BYTES] = { 4095, 4095, 4095, BITS_E_INVALID_ARGUMENT },
};
static_assert_table(limits, LIMIT_MAX);

uint32_t policy_limit(Limit limit, uid_t uid)
{
        assert(limit >= 0 && limit < LIMIT_MAX);
        if ((size_t)limit < ELEMENTS(policies))
                return config_is_exempt(config(), uid)
                               ? UINT32_MAX
                               : *(const uint32_t *)((const char *)config() +
                                                     policies[limit].offset);
        if (identity_is_administrator(uid))
                return limits[limit].root;
        return identity_is_service_account(uid) ? limits[limit].service : limits[limit].people;
}

BitsCode policy_limit_code(Limit limit)
{
        assert(limit >= 0 && limit < LIMIT_MAX);
        return (size_t)limit < ELEMENTS(policies) ? policies[limit].code : limits[limit].code;
}

/* POL-207 */
bool policy_limit_is_near(uint32_t limit, size_t before, size_t after)
{
        size_t near = limit - limit / 10;

        return limit != UINT32_MAX && limit >= 10 && before < near && after >= near;
}

/* ---- names ---- */

static BitsCode answer(BitsCode code, const char *why, const char **ret_why)
{
        if (why && ret_why)
                *ret_why = why;
        return why ? code : 0;
}

static bool is_control(unsigned char c)
{
        return c < 0x20 || c == 0x7F;
}

static const char *end_of_authority(const char *url)
{
        const char *authority = strstr(url, "://");

        return authority ? authority + 3 + strcspn(authority + 3, "/?#") : url;
}

static const char *wrong_character_in_url(const char *url)
{
        for (const char *p = url; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if (c == ' ')
                        return "the URL has a space: write %20";
                if (is_control(c))
                        return "the URL has a control character";
                if (c >= 0x80)
                        return p < end_of_authority(url)
                                       ? "the URL's host has a character outside ASCII: write it "
                                         "as xn--…, as the name server has it"
                                       : "the URL has a character outside ASCII: percent-encode "
                                         "it";
        }
        return NULL;
}

/* "[::1]", "[fe80::1%eth0]"; behind the address may be the name of an interface. LIM-420 */
static bool is_ipv6_address(const char *begin, const char *end)
{
        char text[INET6_ADDRSTRLEN];
        struct in6_addr address;
        const char *zone = memchr(begin, '%', (size_t)(end - begin));
        size_t n = (size_t)((zone ? zone : end) - begin);

        if (n >= sizeof(text) || (zone && zone + 1 == end))
                return false;
        memcpy(text, begin, n);
        text[n] = '\0';
        return inet_pton(AF_INET6, text, &address) == 1;
}

/* What no host is called, and libcurl refuses: better now than in the middle of the night. */
static const char not_in_host[] = "\"\\<>^`{|}[]!$&'()*+,;=";

/* Behind the scheme: [user[:password]@]host[:port]. */
static const char *wrong_authority(const char *authority)
{
        const char *end = authority + strcspn(authority, "/?#");
        const char *at = memrchr(authority, '@', (size_t)(end - authority));
        const char *host = at ? at + 1 : authority, *behind;
        unsigned long port = 0;

        if (*host == '[') {
                behind = memchr(host, ']', (size_t)(end - host));
                if (!behind || !is_ipv6_address(host + 1, behind))
                        return "the URL has a broken IPv6 address";
                behind++;
        } else {
                behind = memchr(host, ':', (size_t)(end - host));
                behind = behind ? behind : end;
                if (host + strcspn(host, not_in_host) < behind)
                        return "the URL's host has a character that no name of a host has";
        }
        if (behind == host)
                return "the URL names no host";
        if (behind == end)
                return NULL;
        if (*behind != ':')
                return "the URL's host is followed by something that is no port";
        for (const char *p = behind + 1; p < end; p++) {
                if (!isdigit((unsigned char)*p))
                        return "the URL's port is no number";
                port = port * 10 + (unsigned long)(*p - '0');
                if (port > PORT_MAX)
                        return "the URL's port is above 65535";
        }
        return behind + 1 < end && port == 0 ? "the URL's port is 0" : NULL;
}

static bool component_is(const char *component, size_t n, const char *name)
{
        return n == strlen(name) && memcmp(component, name, n) == 0;
}

static const char *wrong_component(const char *component, size_t n, bool first)
{
        if (n > NAME_MAX)
                return "a part of the path is longer than 255 bytes";
        if (component_is(component, n, ".") || component_is(component, n, ".."))
                return "the path has a \".\" or \"..\" part: write it without";
        /* A name below these is a device or a door into another process, never a place for data. */
        if (first && (component_is(component, n, "proc") || component_is(component, n, "sys") ||
                      component_is(component, n, "dev")))
                return "the path lies below /proc, /sys or /dev";
        return NULL;
}

static const char *wrong_path(const char *path)
{
        bool first = true;

        if (string_empty(path))
                return "the path is missing";
        if (path[0] != '/')
                return "the path is not absolute: it starts with /";
        if (strlen(path) > limits[LIMIT_LOCAL_NAME_BYTES].people)
                return "the path is longer than 4095 bytes";
        for (const char *p = path; *p; p++)
                if (is_control((unsigned char)*p))
                        return "the path has a control character";
        for (const char *p = path; *p;) {
                size_t n = strcspn(++p, "/");
                const char *why = n > 0 ? wrong_component(p, n, first) : NULL;

                if (why)
                        return why;
                first = first && n == 0;
                p += n;
        }
        return path[strlen(path) - 1] == '/' ? "the path ends with /: it has to name a file" : NULL;
}

static const char *wrong_url(const char *url)
{
        char path[REMOTE_PATH_MAX];
        const char *why;

        if (string_empty(url))
                return "the URL is missing";
        if (url[0] == '/') /* FIL-100, FIL-103 */
                return wrong_path(url);
        if (strlen(url) > limits[LIMIT_REMOTE_NAME_CHARACTERS].people)
                return "the URL is longer than 2200 characters";
        why = wrong_character_in_url(url);
        if (why)
                return why;
        if (remote_name_is_file(url)) {
                why = remote_name_path(url, path);
                return why ? why : wrong_path(path);
        }
        if (strncasecmp(url, "http://", 7) == 0)
                return wrong_authority(url + 7);
        if (strncasecmp(url, "https://", 8) == 0)
                return wrong_authority(url + 8);
        if (strncmp(url, "\\\\", 2) == 0)
                return "the name is a UNC path: mount the share, and name the path below it";
        return strstr(url, "://") ? "the URL's scheme is not supported: use http, https or file"
                                  : "the URL is not absolute: it starts with http://, https:// or "
                                    "file://, or is an absolute path";
}

/* LIM-06, BUS-03 */
BitsCode policy_check_remote_name(const char *url, const char **ret_why)
{
        return answer(BITS_E_INVALID_ARGUMENT, wrong_url(url), ret_why);
}

/* LIM-07, BUS-01. Everything else is a name, however odd. BUS-12 */
BitsCode policy_check_local_name(const char *path, const char **ret_why)
{
        return answer(BITS_E_INVALID_ARGUMENT, wrong_path(path), ret_why);
}

static BitsCode check_text(const char *text, Limit limit, const char *too_long,
                           const char **ret_why)
{
        size_t n;

        if (!text)
                return answer(BITS_E_INVALID_ARGUMENT, "the text is missing", ret_why);
        if (!utf8_length(text, &n))
                return answer(BITS_E_INVALID_ARGUMENT, "the text is not valid UTF-8", ret_why);
        return answer(limits[limit].code, n > limits[limit].people ? too_long : NULL, ret_why);
}

/* LIM-08, LIM-23, BUS-02 */
BitsCode policy_check_display_name(const char *name, const char **ret_why)
{
        return check_text(name, LIMIT_DISPLAY_NAME_CHARACTERS,
                          "the display name is longer than 256 characters", ret_why);
}

/* LIM-08 */
BitsCode policy_check_description(const char *text, const char **ret_why)
{
        return check_text(text, LIMIT_DESCRIPTION_CHARACTERS,
                          "the description is longer than 1024 characters", ret_why);
}
