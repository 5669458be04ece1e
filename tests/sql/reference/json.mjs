// JSON as the language reads and writes it: integers and floats apart, the last of duplicate keys, everything strict.

import { Unreadable } from './errors.mjs';
import { DateTime, INT_MAX, INT_MIN, asciiLower, floatText } from './values.mjs';
import { formatTime } from './time.mjs';

const DEPTH_MAX = 64;
const ESCAPES = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

const WORDS = new Map([['true', true], ['false', false], ['null', null]]);

class Reader {
    constructor(text) {
        this.text = text;
        this.at = 0;
        this.depth = 0;
    }

    blanks() {
        while (' \t\r\n'.includes(this.text[this.at] ?? 'x')) this.at++;
    }

    fail(what) {
        throw new Unreadable(`${what} at character ${this.at}`);
    }

    take(c) {
        if (this.text[this.at] !== c) this.fail(`expected ${c}`);
        this.at++;
    }

    value() {
        this.blanks();
        switch (this.text[this.at]) {
        case '{': return this.object();
        case '[': return this.array();
        case '"': return this.string();
        default: return this.word();
        }
    }

    open() {
        this.at++;
        if (++this.depth > DEPTH_MAX) this.fail('too deep');
        this.blanks();
    }

    object() {
        const record = new Map();
        this.open();
        if (this.text[this.at] !== '}')
            for (;;) {
                this.blanks();
                const key = this.string();
                this.blanks();
                this.take(':');
                const v = this.value();
                record.set(key, v);
                this.blanks();
                if (this.text[this.at] !== ',') break;
                this.at++;
            }
        this.take('}');
        this.depth--;
        return record;
    }

    array() {
        const list = [];
        this.open();
        if (this.text[this.at] !== ']')
            for (;;) {
                list.push(this.value());
                this.blanks();
                if (this.text[this.at] !== ',') break;
                this.at++;
            }
        this.take(']');
        this.depth--;
        return list;
    }

    string() {
        this.take('"');
        let s = '';
        for (;;) {
            const c = this.text[this.at++];
            if (c === undefined || c < ' ') this.fail('string not closed');
            if (c === '"') break;
            s += c === '\\' ? this.escape() : c;
        }
        if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(s)) this.fail('half of a surrogate pair');
        return s;
    }

    escape() {
        const c = this.text[this.at++];
        if (c in ESCAPES) return ESCAPES[c];
        const hex = this.text.slice(this.at, this.at + 4);
        if (c !== 'u' || !/^[0-9a-fA-F]{4}$/.test(hex)) this.fail('unknown escape');
        this.at += 4;
        return String.fromCharCode(parseInt(hex, 16));
    }

    word() {
        const [word] = /^[-+.a-zA-Z0-9]*/.exec(this.text.slice(this.at));
        const v = WORDS.has(word) ? WORDS.get(word) : number(word);
        if (v === undefined) this.fail(`"${word}" is no value`);
        this.at += word.length;
        return v;
    }
}

function number(word) {
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(word)) return undefined;
    if (/[.eE]/.test(word)) {
        const x = Number(word);
        if (!Number.isFinite(x)) throw new Unreadable(`${word} is beyond the largest float`);
        return x;
    }
    const n = BigInt(word);
    if (n < INT_MIN || n > INT_MAX) throw new Unreadable(`${word} is outside the range of bigint`);
    return n;
}

/** The events of a message: objects, arrays of objects, one after the other. */
export function parseMessage(text) {
    const reader = new Reader(text), events = [];
    reader.blanks();
    if (reader.at === text.length) reader.fail('an empty message');
    while (reader.at < text.length) {
        const v = reader.value();
        for (const event of Array.isArray(v) ? v : [v]) {
            if (!(event instanceof Map)) throw new Unreadable('an event is an object');
            events.push(event);
        }
        reader.blanks();
    }
    return events;
}

/** A value, strictly, to the end of the text. */
export function parseValue(text) {
    const reader = new Reader(text);
    const v = reader.value();
    reader.blanks();
    if (reader.at < text.length) reader.fail('more than one value');
    return v;
}

/** The text of a value. `options`: lowercase (names), nonFinite() called for each float that is no number. */
export function writeValue(v, options = {}) {
    if (v === null) return 'null';
    if (typeof v === 'bigint' || typeof v === 'boolean') return String(v);
    if (typeof v === 'string') return JSON.stringify(v);
    if (v instanceof DateTime) return `"${formatTime(v.ticks)}"`;
    if (Array.isArray(v)) return `[${v.map((x) => writeValue(x, options)).join(',')}]`;
    if (v instanceof Map) {
        const seen = new Map(); // with names in lower case two may become one: the first stays
        for (const [k, x] of v) {
            const name = options.lowercase ? asciiLower(k) : k;
            if (!seen.has(name)) seen.set(name, writeValue(x, options));
        }
        return `{${[...seen].map(([k, x]) => `${JSON.stringify(k)}:${x}`).join(',')}}`;
    }
    if (Number.isFinite(v)) return floatText(v);
    options.nonFinite?.();
    return 'null';
}

/** Splits the outermost array or object of a text: [[key or index, text of the value], ...]. For lines of cases, not for events. */
export function split(text) {
    const out = [];
    const isList = text.trimStart()[0] === '[';
    let depth = 0, quoted = false, start = 0, key = null, i = text.indexOf(isList ? '[' : '{');
    const end = () => {
        const part = text.slice(start, i).trim();
        if (part) out.push([isList ? out.length : JSON.parse(key), part]);
    };
    for (start = ++i; i < text.length; i++) {
        const c = text[i];
        if (quoted) {
            if (c === '\\') i++;
            else if (c === '"') quoted = false;
        } else if (c === '"') quoted = true;
        else if (c === '{' || c === '[') depth++;
        else if ((c === '}' || c === ']') && depth-- === 0) {
            end();
            break;
        } else if (c === ':' && depth === 0 && !isList) {
            key = text.slice(start, i);
            start = i + 1;
        } else if (c === ',' && depth === 0) {
            end();
            start = i + 1;
        }
    }
    return out;
}
