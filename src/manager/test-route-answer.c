/*
 * What the kernel says of routes, and what it would never say.
 */
#include "manager/route-answer.h"

#include <arpa/inet.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
        SERIAL = 7,
        ETH = 2,
        LO = 1,
};

typedef struct Bytes {
        _Alignas(struct nlmsghdr) uint8_t data[512];
        size_t size;
} Bytes;

static struct nlmsghdr *header(Bytes *b)
{
        return (struct nlmsghdr *)b->data;
}

static void begin(Bytes *b, unsigned char family, unsigned char type, unsigned flags)
{
        *b = (Bytes){ .size = NLMSG_LENGTH(sizeof(struct rtmsg)) };
        *header(b) = (struct nlmsghdr){ .nlmsg_type = RTM_NEWROUTE,
                                        .nlmsg_seq = SERIAL,
                                        .nlmsg_len = (uint32_t)b->size };
        *(struct rtmsg *)NLMSG_DATA(header(b)) =
                (struct rtmsg){ .rtm_family = family, .rtm_type = type, .rtm_flags = flags };
}

static void add(Bytes *b, unsigned short type, const void *data, size_t size)
{
        struct rtattr *a = (struct rtattr *)(b->data + b->size);

        *a = (struct rtattr){ .rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(size) };
        memcpy(RTA_DATA(a), data, size);
        b->size += RTA_SPACE(size);
        header(b)->nlmsg_len = (uint32_t)b->size;
}

static void add_interface(Bytes *b, int index)
{
        add(b, RTA_OIF, &index, sizeof(index));
}

static void add_destination(Bytes *b, int family, const char *text)
{
        uint8_t address[sizeof(struct in6_addr)];

        assert_int_equal(inet_pton(family, text, address), 1);
        add(b, RTA_DST, address, family == AF_INET ? sizeof(struct in_addr) : sizeof(address));
}

static RouteAnswer answer(const Bytes *b)
{
        size_t next;
        RouteAnswer a = route_answer(b->data, b->size, SERIAL, &next);

        assert_in_range(next, 0, b->size);
        return a;
}

/* NET-382 */
static void test_routes(void **state)
{
        Bytes b;

        (void)state;
        begin(&b, AF_INET, RTN_UNICAST, 0);
        assert_int_equal(answer(&b), ROUTE_NONE); /* over no interface */
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_WAY);
        begin(&b, AF_INET6, RTN_UNICAST, 0);
        add_destination(&b, AF_INET6, "fd00::");
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_WAY);
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add_interface(&b, LO);
        assert_int_equal(answer(&b), ROUTE_NONE);
        begin(&b, AF_INET, RTN_UNICAST, RTNH_F_LINKDOWN);
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_NONE);
        begin(&b, AF_INET, RTN_UNREACHABLE, 0);
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_NONE);
        begin(&b, AF_MPLS, RTN_UNICAST, 0);
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_NONE);
}

/* NET-382: addresses of this machine, and those that lo has besides its own. */
static void test_own_addresses(void **state)
{
        static const struct {
                int family;
                const char *destination;
                int index;
                RouteAnswer answer;
        } table[] = {
                { AF_INET, "127.0.0.0", LO, ROUTE_NONE }, { AF_INET, "127.0.0.1", LO, ROUTE_NONE },
                { AF_INET6, "::1", LO, ROUTE_NONE },      { AF_INET, "10.0.0.2", ETH, ROUTE_NONE },
                { AF_INET6, "fd00::2", ETH, ROUTE_NONE }, { AF_INET, "10.0.0.2", LO, ROUTE_WAY },
                { AF_INET6, "fd00::2", LO, ROUTE_WAY },
        };
        Bytes b;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(table); i++) {
                begin(&b, (unsigned char)table[i].family, RTN_LOCAL, 0);
                add_destination(&b, table[i].family, table[i].destination);
                add_interface(&b, table[i].index);
                assert_int_equal(answer(&b), table[i].answer);
        }
}

/* NET-382 */
static void test_what_every_link_has(void **state)
{
        static const struct {
                unsigned char family;
                const char *destination;
        } table[] = { { AF_INET, "169.254.0.0" }, { AF_INET6, "fe80::" }, { AF_INET6, "febf::" } };
        Bytes b;

        (void)state;
        for (size_t i = 0; i < ELEMENTS(table); i++) {
                begin(&b, table[i].family, RTN_UNICAST, 0);
                add_interface(&b, ETH);
                add_destination(&b, table[i].family, table[i].destination);
                assert_int_equal(answer(&b), ROUTE_NONE);
        }
        begin(&b, AF_INET6, RTN_UNICAST, 0);
        add_destination(&b, AF_INET6, "fec0::");
        add_interface(&b, ETH);
        assert_int_equal(answer(&b), ROUTE_WAY);
}

/* NET-382 */
static void test_several_hops(void **state)
{
        struct rtnexthop hops[2] = {
                { .rtnh_len = sizeof(hops[0]), .rtnh_flags = RTNH_F_LINKDOWN, .rtnh_ifindex = ETH },
                { .rtnh_len = sizeof(hops[0]), .rtnh_ifindex = ETH + 1 },
        };
        Bytes b;

        (void)state;
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add(&b, RTA_MULTIPATH, hops, sizeof(hops));
        assert_int_equal(answer(&b), ROUTE_WAY);
        hops[1].rtnh_flags = RTNH_F_DEAD;
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add(&b, RTA_MULTIPATH, hops, sizeof(hops));
        assert_int_equal(answer(&b), ROUTE_NONE);
        hops[0].rtnh_len = 0; /* would never end */
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add(&b, RTA_MULTIPATH, hops, sizeof(hops));
        assert_int_equal(answer(&b), ROUTE_NONE);
}

static void test_other_messages(void **state)
{
        Bytes b;

        (void)state;
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add_interface(&b, ETH);
        header(&b)->nlmsg_seq = SERIAL - 1;
        assert_int_equal(answer(&b), ROUTE_NONE);
        header(&b)->nlmsg_seq = SERIAL;
        header(&b)->nlmsg_type = NLMSG_DONE;
        assert_int_equal(answer(&b), ROUTE_END);
        header(&b)->nlmsg_type = NLMSG_ERROR;
        assert_int_equal(answer(&b), ROUTE_REFUSED);
        header(&b)->nlmsg_type = RTM_NEWADDR;
        assert_int_equal(answer(&b), ROUTE_WRONG);
}

/* Every length that a message could be cut to, and every length it could claim. */
static void test_cut(void **state)
{
        Bytes b, cut;

        (void)state;
        begin(&b, AF_INET, RTN_UNICAST, 0);
        add_destination(&b, AF_INET, "10.0.0.0");
        add_interface(&b, ETH);
        for (size_t size = 0; size < b.size; size++) {
                cut = b;
                cut.size = size;
                assert_int_equal(answer(&cut), ROUTE_WRONG);
                header(&cut)->nlmsg_len = (uint32_t)size;
                assert_int_not_equal(answer(&cut), ROUTE_WAY);
        }
        header(&b)->nlmsg_len = UINT32_MAX;
        assert_int_equal(answer(&b), ROUTE_WRONG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_routes),         cmocka_unit_test(test_what_every_link_has),
                cmocka_unit_test(test_own_addresses),  cmocka_unit_test(test_several_hops),
                cmocka_unit_test(test_other_messages), cmocka_unit_test(test_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
