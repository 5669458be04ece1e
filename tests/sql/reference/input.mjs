// From messages to rows with a time: what CREATE TABLE asks for, early, late and out of order.

import { Failed, Unreadable } from './errors.mjs';
import { evaluate } from './evaluate.mjs';
import { parseMessage, parseValue, split } from './json.mjs';
import { MINUTE, SECOND, dateTime, parseTime } from './time.mjs';
import { DateTime, asciiLower, identity, typeOf } from './values.mjs';
import { cmp } from './joins.mjs';

const START = parseTime('2024-01-01T00:00:00Z'), EARLY = 5n * MINUTE;

/** Seconds of the configuration as ticks. */
export const seconds = (n) => BigInt(Math.round(n * 1e7));

/** The events of an input's items (texts of JSON values): [{ fields, arrival (null: the event's own time), meta }]. */
export function events(items, columns, count) {
    return items.flatMap((item, i) => {
        const { text, arrival, device, user } = message(item);
        try {
            return parseMessage(text).map((fields) => {
                fields.delete('_arrival');
                for (const c of columns) conform(fields, c);
                return { fields, arrival, counted: START + BigInt(i) * SECOND, device, user };
            });
        } catch (error) {
            if (!(error instanceof Unreadable)) throw error;
            count('InputDeserializationError');
            return [];
        }
    });
}

function message(item) {
    if (item[0] === '"') return { text: JSON.parse(item), arrival: null };
    const members = new Map(split(item));
    const get = (name) => members.has(name) ? parseValue(members.get(name)) : null;
    const arrival = members.has('_arrival') ? parseTime(get('_arrival')) : null;
    if (!members.has('_message')) return { text: item, arrival };
    return { text: get('_message'), arrival, device: get('_device'), user: get('_properties') };
}

/** A declared column has its type, or the event is none. */
function conform(fields, { name, type }) {
    for (const [key, v] of fields) {
        if (asciiLower(key) !== asciiLower(name) || (key !== name && fields.has(name)) || v === null || typeOf(v) === type) continue;
        const time = type === 'datetime' && typeof v === 'string' ? parseTime(v) : null;
        if (time !== null) fields.set(key, dateTime(time));
        else if (type === 'float' && typeof v === 'bigint') fields.set(key, Number(v));
        else throw new Unreadable(`${name} is not of type ${type}`);
    }
}

function metaOf({ device, user }, arrival) {
    const time = dateTime(arrival);
    return new Map([
        ['EventEnqueuedUtcTime', time],
        ['IoTHub', new Map([['EnqueuedTime', time], ['ConnectionDeviceId', device ?? null]])],
        ['EventHub', new Map([['EventEnqueuedUtcTime', time]])],
        ['User', user ?? new Map()],
    ]);
}

/** The rows of an input as this reader sees them, in the order of time: { time, fields, meta, key }. */
export function read(source, list, config, count) {
    const late = seconds(config.late_s ?? 5), disorder = seconds(config.out_of_order_s ?? 0), drop = config.action === 'drop';
    const newest = new Map(), rows = [];
    for (const event of list) {
        const part = { fields: event.fields, meta: null };
        const env = { row: { time: event.arrival ?? event.counted, parts: new Map([[source.alias, part]]) }, ci: config.collation === 'ci' };
        part.meta = metaOf(event, env.row.time);
        if (!source.timestamp) {
            rows.push({ time: env.row.time, fields: event.fields, meta: part.meta, key: '' });
            continue;
        }
        const keys = (source.over ?? []).map((e) => valueOf(e, env));
        if (keys.includes(null)) {
            count('InputEventTimestampByOverValueNotFound');
            continue;
        }
        const key = keys.map((k) => identity(k, env.ci)).join('|');
        let time = timeOf(valueOf(source.timestamp, env));
        if (time === null) {
            count('InputEventTimestampNotFound');
            continue;
        }
        const arrival = event.arrival ?? time;
        if (time > arrival + EARLY) {
            count('InputEventEarlyBeyondThreshold');
            continue;
        }
        if (time < arrival - late) {
            count('InputEventLateBeyondThreshold');
            if (drop) continue;
            time = arrival - late;
        }
        const watermark = newest.has(key) ? newest.get(key) - disorder : null;
        if (watermark !== null && time < watermark) {
            count('OutOfOrderEvent');
            if (drop) continue;
            time = watermark;
        }
        if (!newest.has(key) || newest.get(key) < time) newest.set(key, time);
        rows.push({ time, fields: event.fields, meta: metaOf(event, arrival), key });
    }
    return rows.sort((a, b) => cmp(a.time, b.time)); // stable: equal times stay in the order of arrival
}

function valueOf(e, env) {
    try {
        return evaluate(e, env);
    } catch (error) {
        if (error instanceof Failed) return null;
        throw error;
    }
}

const timeOf = (v) => v instanceof DateTime ? v.ticks : typeof v === 'string' ? parseTime(v) : null;
