// Waiting with an end: nothing in these tests waits without saying for how long and for what.

export const DEFAULT_MS = 10_000;

/** The promise's value, or an error that says what did not happen within `ms`. */
export function within(promise, what, ms = DEFAULT_MS) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${typeof what === 'function' ? what() : what}: not within ${ms} ms`)), ms);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until `probe()` gives something truthy, and gives that back. An error thrown by the probe counts as not yet. */
export async function until(probe, what, ms = DEFAULT_MS, every = 20) {
    const end = performance.now() + ms;
    let last;
    for (;;) {
        try {
            const value = await probe();
            if (value) return value;
            last = undefined;
        } catch (error) {
            last = error;
        }
        if (performance.now() >= end)
            throw new Error(`${typeof what === 'function' ? what() : what}: not within ${ms} ms${last ? ` (${last.message})` : ''}`);
        await sleep(every);
    }
}
