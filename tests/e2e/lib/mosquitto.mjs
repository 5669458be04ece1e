// Debian's mosquitto_pub and mosquitto_sub, unchanged, as the clients that people have at hand.

import { run, start } from './process.mjs';
import { until, within } from './wait.mjs';

const VERSION = { 3: 'mqttv31', 4: 'mqttv311', 5: 'mqttv5' };

function common({ host = '127.0.0.1', port, version = 5, id, args = [] }) {
    return ['-h', host, '-p', String(port), '-V', VERSION[version], ...(id ? ['-i', id] : []), ...args];
}

/**
 * Publishes and waits until mosquitto_pub ended; at QoS 1 and 2 that is after the acknowledgement.
 *
 *   message      one body; or
 *   file         a file with one, of any bytes; or
 *   lines        a body per line, all over one connection
 *   qos, retain, host, version (3, 4, 5), id, args, timeoutMs
 *   mayFail      give { code, err } back instead of failing when it does not end with 0
 */
export async function mosquittoPub({ topic, message, lines, file, qos = 1, retain = false, mayFail = false, timeoutMs, ...rest }) {
    const args = [...common(rest), '-t', topic, '-q', String(qos), ...(retain ? ['-r'] : [])];
    if (lines) args.push('-l');
    else if (file) args.push('-f', file);
    else if (message === null || message === '') args.push('-n');
    else args.push('-m', message);
    const end = await run('mosquitto_pub', args, { input: lines?.map((line) => `${line}\n`).join(''), timeoutMs });
    if (end.code !== 0 && !mayFail) throw new Error(`mosquitto_pub ended with ${end.code}: ${end.err.join(' / ')}`);
    return end;
}

// Tab between the fields; the body as hex, so that any body fits into a line. Lines of -d never begin like this.
const MARK = '>>';
const FIELDS = ['%q', '%r', '%x', '%t', '%C', '%R', '%D', '%E', '%S', '%F', '%P'];

function parse(line) {
    const [qos, retain, hex, topic, contentType, responseTopic, correlation, expiry, subscription, format, user] = line
        .slice(MARK.length)
        .split('\t');
    const payload = Buffer.from(hex, 'hex');
    const properties = { contentType, responseTopic, correlation, expiry, subscription, format, user };
    for (const key of Object.keys(properties)) if (!properties[key]) delete properties[key];
    return { topic, qos: Number(qos), retain: retain === '1', payload, text: payload.toString(), properties };
}

/**
 * Subscribes and resolves when every SUBACK has come.
 *
 *   topics       a filter or several; qos, host, version (3, 4, 5), id, args (such as '-c', '-x', '3600')
 *   mayFail      do not wait for the SUBACK: the test expects a refusal
 *
 * Gives { messages, take, granted, debug, stop, kill9, process }: the messages so far; take(n) waits until there are n
 * and gives them; granted are the SUBACK's codes; debug are the client's own words, one line each.
 */
export async function mosquittoSub({ topics, qos = 1, mayFail = false, timeoutMs = 10_000, ...rest }) {
    const filters = [topics].flat();
    const args = [...common(rest), '-d', '-q', String(qos), '-F', `${MARK}${FIELDS.join('\\t')}`];
    for (const filter of filters) args.push('-t', filter);
    const self = { messages: [], debug: [], granted: undefined };
    // To a pipe it would write in blocks of 4 KiB; stdbuf only changes that.
    const it = start('stdbuf', ['-oL', 'mosquitto_sub', ...args], {
        onLine: (line) => {
            if (line.startsWith(MARK)) self.messages.push(parse(line));
            else self.debug.push(line);
            const granted = /^Subscribed \(mid: \d+\): (.*)$/.exec(line);
            if (granted) self.granted = granted[1].split(', ').map(Number);
        },
    });
    self.process = it;
    self.take = async (n, ms = timeoutMs) => {
        try {
            await until(() => self.messages.length >= n, '', ms);
        } catch {
            throw new Error(`mosquitto_sub: ${self.messages.length} of ${n} messages within ${ms} ms\n${self.words()}`);
        }
        return self.messages.slice(0, n);
    };
    self.words = () => [...self.debug.slice(-20), ...it.err].join('\n');
    self.stop = () => (it.ended ? undefined : it.kill('SIGTERM')); // it sends DISCONNECT and ends
    self.kill9 = () => (it.ended ? undefined : it.kill('SIGKILL'));
    if (!mayFail) {
        await until(() => {
            if (it.ended) throw new Error('it ended');
            return self.granted;
        }, `mosquitto_sub gets its SUBACK`, timeoutMs).catch(async (error) => {
            await self.kill9();
            throw new Error(`${error.message}\n${self.words()}`);
        });
    }
    return self;
}

/** Receives exactly `count` messages and ends, as `mosquitto_sub -C count` does for anyone. */
export async function mosquittoReceive({ topics, count, qos = 1, timeoutMs = 10_000, ...rest }) {
    const args = [...common(rest), '-q', String(qos), '-C', String(count), '-F', `${MARK}${FIELDS.join('\\t')}`];
    for (const filter of [topics].flat()) args.push('-t', filter);
    const end = await within(run('mosquitto_sub', args, { timeoutMs }), 'mosquitto_sub ends', timeoutMs + 1000);
    return end.out.filter((line) => line.startsWith(MARK)).map(parse);
}
