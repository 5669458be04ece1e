// Tests that claim numbered statements of the standard. The claim stands in the test's name, so it is in every report:
//
//   a silent client is closed [3.1.1: 3.1.2-24] [5.0: 3.1.2-22]
//
// tests/conformance/table.mjs collects the claims with the results and writes docs/conformance.md. A claim is made by a
// test that goes red when the rule is broken, not by one that happens to pass by it.

import { test } from './bounded.mjs';
import { sharedPeer, unique } from './peer.mjs';
import { rawConnect, rawOpen } from './raw.mjs';

const NAME = { 3: '3.1.1', 4: '3.1.1', 5: '5.0' };

/** "[3.1.1: 3.1.2-24, 3.1.2-3]", or nothing. */
const claim = (version, numbers) => (numbers ? ` [${NAME[version]}: ${numbers.trim().split(/[\s,]+/).join(', ')}]` : '');

/**
 * A test for the version(s) it claims statements of. `v4` and `v5` are numbers separated by blanks, of 3.1.1 and 5.0. With
 * both, the body runs once for each version as a test of its own: body(t, version).
 */
export function conform(name, { v4, v5, ...options }, body) {
    const several = v4 !== undefined && v5 !== undefined;
    for (const [version, numbers] of [[4, v4], [5, v5]])
        if (numbers !== undefined)
            test(`${name}${several ? `, ${NAME[version]}` : ''}${claim(version, numbers)}`, options, (t) => body(t, version));
}

/** One test that claims statements of both versions at once. */
export function conformBoth(name, { v4, v5, ...options }, body) {
    test(`${name}${claim(4, v4)}${claim(5, v5)}`, options, body);
}

/** A client identifier of at most 23 letters, digits and dashes that no other test uses. */
export const id = () => unique('c').slice(-23);
/** Options of CONNECT for a session that outlives its connection. */
export const kept = (version, props) => ({ clean: false, ...(version === 5 ? { props: { sessionExpiry: 60, ...props } } : {}) });

/** One node for all tests of a file, and how to get connections to it that end with their test. */
export function stage(options) {
    const shared = sharedPeer(options);
    return {
        shared,
        /** TCP only. */
        open: (t, version) => rawOpen({ t, port: shared.port, version }),
        /** After CONNACK. Messages may come before and between answers, as the standard allows. */
        join: (t, version = 5, more = {}) => rawConnect({ t, port: shared.port, version, loose: true, ...more }),
    };
}
