/*
 * What a configuration script may call. The three arguments are the program's: the addresses of a
 * name ([] if it has none), those of this machine, and the bytes of an address (null: it is none).
 * Names are looked up once for each question that a script answers. NET-446
 */
(function (lookUp, ownAddresses, bytesOf) {
    'use strict';

    var scope = this, known = {}, days = 'SUN MON TUE WED THU FRI SAT'.split(' '),
        months = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');

    function publish(functions) {
        Object.keys(functions).forEach(function (name) { scope[name] = functions[name]; });
    }

    function addressesOf(host) {
        var name = 'host ' + host;

        if (bytesOf(String(host)))
            return [String(host)];
        if (!known[name])
            known[name] = lookUp(String(host));
        return known[name];
    }

    function isOld(address) {
        return bytesOf(address).length === 4;
    }

    function firstOld(addresses) {
        return addresses.filter(isOld)[0] || null;
    }

    /* The first `bits` bits of both. */
    function agree(a, b, bits) {
        var i, mask;

        if (!a || !b || a.length !== b.length || !(bits >= 0 && bits <= a.length * 8))
            return false;
        for (i = 0; i < a.length; i++, bits -= 8) {
            mask = bits >= 8 ? 255 : bits <= 0 ? 0 : 255 << (8 - bits) & 255;
            if ((a[i] & mask) !== (b[i] & mask))
                return false;
        }
        return true;
    }

    publish({
        isPlainHostName: function (host) {
            return !/[.:]/.test(host);
        },
        dnsDomainIs: function (host, domain) {
            host = String(host);
            domain = String(domain);
            return host.length >= domain.length &&
                host.slice(host.length - domain.length) === domain;
        },
        localHostOrDomainIs: function (host, name) {
            return host === name || String(name).indexOf(host + '.') === 0;
        },
        dnsDomainLevels: function (host) {
            return String(host).split('.').length - 1;
        },
        isResolvable: function (host) {
            return firstOld(addressesOf(host)) !== null;
        },
        dnsResolve: function (host) {
            return firstOld(addressesOf(host));
        },
        myIpAddress: function () {
            return firstOld(ownAddresses) || '127.0.0.1';
        },
        isInNet: function (host, pattern, mask) {
            var address = firstOld(addressesOf(host)), a, p, m;

            a = address && bytesOf(address);
            p = bytesOf(String(pattern));
            m = bytesOf(String(mask));
            return !!a && !!p && !!m && p.length === 4 && m.length === 4 &&
                a.every(function (byte, i) { return (byte & m[i]) === (p[i] & m[i]); });
        },

        /* Of both families. */
        isResolvableEx: function (host) {
            return addressesOf(host).length > 0;
        },
        dnsResolveEx: function (host) {
            return addressesOf(host).join(';');
        },
        myIpAddressEx: function () {
            return ownAddresses.join(';');
        },
        isInNetEx: function (host, prefix) {
            var parts = String(prefix).split('/'), net = bytesOf(parts[0]);

            return parts.length === 2 && /^[0-9]+$/.test(parts[1]) &&
                addressesOf(host).some(function (address) {
                    return agree(bytesOf(address), net, Number(parts[1]));
                });
        },
        sortIpAddressList: function (list) {
            var addresses = String(list).split(';').map(function (a) { return a.trim(); });

            if (!addresses.every(function (a) { return bytesOf(a); }))
                return '';
            function order(a, b) {
                var x = bytesOf(a), y = bytesOf(b), i;

                if (x.length !== y.length)
                    return y.length - x.length;
                for (i = 0; i < x.length && x[i] === y[i];)
                    i++;
                return i < x.length ? x[i] - y[i] : 0;
            }
            return addresses.sort(order).join(';');
        },
        getClientVersion: function () {
            return '1.0';
        },

        /* "*": anything, "?": one character. Goes back to the last "*" only, so it is quick. */
        shExpMatch: function (text, pattern) {
            var t = 0, p = 0, star = -1, from = 0;

            text = String(text);
            pattern = String(pattern);
            while (t < text.length) {
                if (pattern[p] === '*') {
                    star = p++;
                    from = t;
                } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
                    p++;
                    t++;
                } else if (star >= 0) {
                    p = star + 1;
                    t = ++from;
                } else
                    return false;
            }
            while (pattern[p] === '*')
                p++;
            return p === pattern.length;
        },
        alert: function () {
        }
    });

    /* ---- the time ---- */

    /* The arguments without "GMT", and the time as these mean it. */
    function timely(values) {
        var given = Array.prototype.slice.call(values), now = new Date(), gmt = false;

        if (given.length > 0 && String(given[given.length - 1]).toUpperCase() === 'GMT') {
            gmt = true;
            given.pop();
        }
        return {
            given: given,
            weekday: gmt ? now.getUTCDay() : now.getDay(),
            day: gmt ? now.getUTCDate() : now.getDate(),
            month: gmt ? now.getUTCMonth() : now.getMonth(),
            year: gmt ? now.getUTCFullYear() : now.getFullYear(),
            second: gmt ? (now.getUTCHours() * 60 + now.getUTCMinutes()) * 60 + now.getUTCSeconds()
                        : (now.getHours() * 60 + now.getMinutes()) * 60 + now.getSeconds()
        };
    }

    /* A range that ends before it begins goes over the end of the week, year or day. */
    function within(first, now, last) {
        return first <= last ? first <= now && now <= last : now >= first || now <= last;
    }

    /* { day, month, year } of some of the arguments, or null. */
    function dateOf(values) {
        var date = {};

        return values.every(function (value) {
            var month = months.indexOf(String(value).toUpperCase());
            var unit = month >= 0 ? 'month' : value > 31 ? 'year' : 'day';

            if (unit in date || !(month >= 0 || value >= 1))
                return false;
            date[unit] = month >= 0 ? month : Number(value);
            return true;
        }) ? date : null;
    }

    /* What `units` does not name is the same for all dates. */
    function rankOf(date, units) {
        return ('year' in units ? date.year * 512 : 0) + ('month' in units ? date.month * 32 : 0) +
            ('day' in units ? date.day : 0);
    }

    publish({
        weekdayRange: function () {
            var t = timely(arguments), first = days.indexOf(String(t.given[0]).toUpperCase()),
                last = t.given.length > 1 ? days.indexOf(String(t.given[1]).toUpperCase()) : first;

            return first >= 0 && last >= 0 && within(first, t.weekday, last);
        },
        dateRange: function () {
            var t = timely(arguments), n = t.given.length, half = n > 1 ? n / 2 : 1, first, last;

            if (n === 0 || half % 1 !== 0)
                return false;
            first = dateOf(t.given.slice(0, half));
            last = n > 1 ? dateOf(t.given.slice(half)) : first;
            if (!first || !last || Object.keys(first).sort().join() !== Object.keys(last).sort().join())
                return false;
            return within(rankOf(first, first), rankOf(t, first), rankOf(last, first));
        },
        /* (h), (h, h), (h, m, h, m), (h, m, s, h, m, s); the last hour or minute is in it. */
        timeRange: function () {
            var t = timely(arguments), v = t.given.map(Number), n = v.length;

            if (!v.every(function (value) { return value >= 0 && value < 60; }))
                return false;
            if (n === 1)
                v.push(v[0]);
            if (n <= 2 && n > 0)
                return within(v[0] * 3600, t.second, v[1] * 3600 + 3599);
            if (n === 4)
                return within(v[0] * 3600 + v[1] * 60, t.second, v[2] * 3600 + v[3] * 60 + 59);
            return n === 6 && within((v[0] * 60 + v[1]) * 60 + v[2], t.second,
                                     (v[3] * 60 + v[4]) * 60 + v[5]);
        }
    });
})
