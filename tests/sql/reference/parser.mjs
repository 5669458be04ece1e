// Tokens to statements. Every node keeps `at`, its first token, for the message of whoever refuses it later.
//
// A query: { tables, steps: [{ name, at, select }], selects: [select] }
// A select: { items, into, source, links, where, group, having, union } where links are joins and applies in their order.

import { tokens } from './lexer.mjs';
import { Refused } from './errors.mjs';
import { INT_MAX } from './values.mjs';
import { unitOf, sizeOf, DAY } from './time.mjs';

const RESERVED = new Set(`SELECT FROM WHERE GROUP BY HAVING UNION INTO JOIN ON AS AND OR NOT IN LIKE BETWEEN IS NULL CASE WHEN THEN ELSE END
    WITH INNER LEFT CROSS DISTINCT ORDER CREATE`.split(/\s+/));
/** Words that cannot be an alias without AS, because they may follow one. */
const FOLLOWERS = new Set([...RESERVED, ...'TIMESTAMP PARTITION OVER OUTER APPLY LIMIT RIGHT FULL ESCAPE'.split(' ')]);
const WINDOWS = new Map(['tumbling', 'hopping', 'sliding', 'session'].flatMap((w) => [[w, w], [`${w}window`, w]]));
const TYPES = new Set(['bigint', 'float', 'nvarchar', 'datetime', 'bit', 'record', 'array']);
const DATE_FUNCTIONS = new Set(['DATEADD', 'DATEDIFF', 'DATENAME', 'DATEPART']);
const WEEK = 7n * DAY;

class Parser {
    constructor(text) {
        this.list = tokens(text);
        this.i = 0;
    }

    get token() { return this.list[this.i]; }
    next() { return this.list[this.i++]; }
    refuse(message, at = this.token) { throw new Refused(at, message); }

    /** Whether the words come next; takes nothing. */
    sees(...words) {
        return words.every((w, n) => {
            const t = this.list[this.i + n];
            return t && (t.kind === 'word' ? t.text.toUpperCase() === w : t.kind === 'op' && t.value === w);
        });
    }

    takes(...words) {
        if (!this.sees(...words)) return false;
        this.i += words.length;
        return true;
    }

    need(...words) {
        for (const w of words)
            if (!this.takes(w)) this.refuse(`expected ${w}, found ${this.token.text}`);
    }

    isName(t, forbidden = RESERVED) {
        return t.kind === 'name' || (t.kind === 'word' && !forbidden.has(t.text.toUpperCase()));
    }

    name(what) {
        if (!this.isName(this.token)) this.refuse(`expected ${what}, found ${this.token.text}`);
        return this.next().value;
    }

    list1(one) {
        const out = [one()];
        while (this.takes(',')) out.push(one());
        return out;
    }

    // ---- statements

    query() {
        const q = { tables: [], steps: [], selects: [] };
        while (this.sees('CREATE')) q.tables.push(this.table());
        if (this.takes('WITH'))
            q.steps = this.list1(() => {
                const at = this.token, name = this.name('the name of a step');
                this.need('AS', '(');
                const select = this.select();
                this.need(')');
                return { name, at, select };
            });
        do q.selects.push(this.select());
        while (this.takes(';') ? this.token.kind !== 'end' : this.sees('SELECT'));
        if (this.token.kind !== 'end') this.refuse(`unexpected ${this.token.text}`);
        return q;
    }

    table() {
        this.need('CREATE', 'TABLE');
        const at = this.token, name = this.name('the name of an input');
        this.need('(');
        const columns = this.list1(() => ({ name: this.name('the name of a column'), type: this.type() }));
        this.need(')');
        this.takes(';');
        return { name, at, columns };
    }

    type() {
        const t = this.token, type = t.text.toLowerCase();
        if (t.kind !== 'word' || !TYPES.has(type)) this.refuse(`"${t.text}" is no type`);
        this.next();
        if (type !== 'nvarchar') return type;
        this.need('(', 'MAX', ')');
        return 'nvarchar(max)';
    }

    select() {
        const s = { at: this.token, links: [], into: null, where: null, group: null, having: null, union: null };
        this.need('SELECT');
        s.items = this.list1(() => this.item());
        if (this.sees('INTO')) {
            s.intoAt = this.next();
            s.into = this.name('the name of an output');
        }
        this.need('FROM');
        s.source = this.source();
        for (let link = this.link(); link; link = this.link()) s.links.push(link);
        if (this.takes('WHERE')) s.where = this.expression();
        if (this.sees('GROUP', 'BY')) {
            s.groupAt = this.token;
            this.i += 2;
            s.group = this.list1(() => this.groupItem());
        }
        if (this.sees('HAVING')) {
            s.havingAt = this.next();
            s.having = this.expression();
        }
        if (this.takes('UNION')) s.union = this.select();
        return s;
    }

    item() {
        const at = this.token;
        if (this.takes('*')) return { at, star: true };
        if (this.isName(at) && this.list[this.i + 1].kind === 'op' && this.list[this.i + 1].value === '=') {
            this.i += 2; // name = expression
            return { at, name: at.value, nameAt: at, e: this.expression() };
        }
        if (this.isName(at)) {
            const parts = this.path();
            if (this.takes('.', '*')) return { at, star: true, parts };
            this.i = this.list.indexOf(at);
        }
        const e = this.expression();
        let nameAt = null;
        if (this.takes('AS') || this.isName(this.token, FOLLOWERS)) {
            nameAt = this.token;
            this.name('a name');
        }
        return { at, e, name: nameAt?.value ?? null, nameAt };
    }

    /** a.b.c, up to but without `.*` */
    path() {
        const parts = [this.next().value];
        while (this.sees('.') && (this.isName(this.list[this.i + 1]) || this.list[this.i + 1].kind === 'word')) {
            this.next();
            parts.push(this.next().value);
        }
        return parts;
    }

    source() {
        const at = this.token, input = this.name('the name of an input');
        const s = { at, input, alias: input, timestamp: null, over: null };
        if (this.takes('AS') || this.isName(this.token, FOLLOWERS)) s.alias = this.name('an alias');
        if (this.sees('TIMESTAMP', 'BY')) {
            s.timestampAt = this.token;
            const first = (this.i += 2);
            s.timestamp = this.expression();
            if (this.takes('OVER')) s.over = this.list1(() => this.expression());
            s.timing = JSON.stringify(this.list.slice(first, this.i).map((t) => [t.kind, t.value === null ? null : String(t.value)]));
        }
        if (this.takes('PARTITION', 'BY')) this.expression(); // one timeline holds all partitions here
        return s;
    }

    link() {
        const at = this.token;
        if (this.takes('CROSS', 'APPLY')) return this.apply(at, false);
        if (this.takes('OUTER', 'APPLY')) return this.apply(at, true);
        let left = false;
        if (this.takes('LEFT')) {
            this.takes('OUTER');
            left = true;
            this.need('JOIN');
        } else if (this.takes('INNER')) this.need('JOIN');
        else if (this.sees('RIGHT') || this.sees('FULL')) this.refuse(`there is no ${at.text} JOIN; write it as a LEFT JOIN with the sides exchanged`);
        else if (!this.takes('JOIN')) return null;
        const source = this.source();
        const onAt = this.token;
        this.need('ON');
        return { at, join: true, left, source, onAt, on: this.expression() };
    }

    apply(at, outer) {
        const fn = this.token, name = fn.text.toUpperCase();
        if (fn.kind !== 'word' || !['GETARRAYELEMENTS', 'GETRECORDPROPERTIES'].includes(name))
            this.refuse('APPLY takes GetArrayElements(...) or GetRecordProperties(...)');
        this.next();
        this.need('(');
        const e = this.expression();
        this.need(')');
        this.takes('AS');
        return { at, apply: true, outer, array: name === 'GETARRAYELEMENTS', fn, e, alias: this.name('an alias') };
    }

    // ---- windows

    groupItem() {
        const at = this.token, following = this.list[this.i + 1];
        if (at.kind === 'word' && following.value === '(') {
            if (WINDOWS.has(at.text.toLowerCase())) return { at, window: [this.window()] };
            if (this.sees('WINDOWS')) return { at, window: this.windows() };
        }
        const e = this.expression();
        return e.t === 'timestamp' ? { at, snapshot: true } : { at, e };
    }

    windows() {
        this.need('WINDOWS', '(');
        const first = this.token;
        const out = this.list1(() => {
            const at = this.token;
            if (!this.takes('WINDOW', '(')) return this.window();
            const id = this.token;
            if (id.kind !== 'string') this.refuse('the id of a window is a string');
            this.next();
            this.need(',');
            const w = { ...this.window(), id: id.value, idAt: id, at };
            this.need(')');
            return w;
        });
        this.need(')');
        const named = out.filter((w) => w.id !== undefined);
        if (named.length && named.length < out.length)
            this.refuse('either all windows have an id or none', out.find((w) => (w.id === undefined) !== (out[0].id === undefined))?.at ?? first);
        named.forEach((w, i) => {
            if (named.slice(0, i).some((v) => v.id.toLowerCase() === w.id.toLowerCase())) this.refuse(`the id '${w.id}' is there twice`, w.idAt);
        });
        return out;
    }

    window() {
        const at = this.token, kind = WINDOWS.get(at.text.toLowerCase());
        if (at.kind !== 'word' || !kind) this.refuse(`expected a window, found ${at.text}`);
        this.next();
        this.need('(');
        const w = { at, kind, offset: 0n };
        const long = this.sees('DURATION', '(') || this.sees('TIMEOUT', '(');
        const size = (name, unit, check = true) => {
            if (long) {
                if (!this.takes(name, '(')) this.refuse(`expected ${name}(unit, n)`);
                const d = this.duration(check);
                this.need(')');
                return d;
            }
            return this.count(unit.size, check);
        };
        const unit = long ? null : this.unit();
        if (unit) this.need(',');
        w.size = size(kind === 'session' ? 'TIMEOUT' : 'DURATION', unit);
        if (kind === 'hopping') {
            this.need(',');
            w.hop = size('HOP', unit);
        } else if (kind === 'session') {
            this.need(',');
            w.max = size('MAXDURATION', unit);
        } else w.hop = w.size;
        if (['tumbling', 'hopping'].includes(kind) && this.takes(',')) w.offset = size('OFFSET', unit, false);
        this.need(')');
        if (kind === 'session' && this.takes('OVER')) {
            this.need('(', 'PARTITION', 'BY');
            w.partition = this.list1(() => this.expression());
            this.need(')');
        }
        return w;
    }

    unit(any = false) {
        const t = this.token, full = t.kind === 'word' ? unitOf(t.text) : undefined;
        if (!full) this.refuse(`"${t.text}" is no unit of time`);
        if (!any && !sizeOf(full)) this.refuse(`a duration cannot be in ${full}s`);
        this.next();
        return { name: full, size: sizeOf(full) };
    }

    count(size, check) {
        const at = this.token, minus = this.takes('-');
        const t = this.token;
        if (t.kind !== 'bigint') this.refuse(`expected a whole number, found ${t.text}`);
        this.next();
        const ticks = size * (minus ? -t.value : t.value);
        if (check && ticks <= 0n) this.refuse('a duration is more than 0', at);
        if (check && ticks > WEEK) this.refuse('a duration is at most 7 days', at);
        return ticks;
    }

    /** unit, n */
    duration(check = true) {
        const { size } = this.unit();
        this.need(',');
        return this.count(size, check);
    }

    // ---- expressions

    expression() {
        return this.chain('OR', () => this.chain('AND', () => this.not()));
    }

    chain(word, one) {
        let a = one();
        while (this.sees(word)) {
            const at = this.next();
            a = { t: word.toLowerCase(), at: a.at, opAt: at, a, b: one() };
        }
        return a;
    }

    not() {
        const at = this.token;
        return this.takes('NOT') ? { t: 'not', at, a: this.not() } : this.predicate();
    }

    predicate() {
        const a = this.sum(), at = a.at, op = this.token;
        if (op.kind === 'op' && ['=', '<>', '<', '<=', '>', '>='].includes(op.value)) {
            this.next();
            return { t: 'compare', at, op: op.value, a, b: this.sum() };
        }
        if (this.takes('IS')) {
            const not = this.takes('NOT');
            this.need('NULL');
            return { t: 'isnull', at, not, a };
        }
        const not = this.sees('NOT', 'BETWEEN') || this.sees('NOT', 'IN') || this.sees('NOT', 'LIKE');
        if (not) this.next();
        const negate = (e) => not ? { t: 'not', at, a: e } : e;
        if (this.takes('BETWEEN')) {
            const low = this.sum();
            this.need('AND');
            return negate({ t: 'between', at, a, low, high: this.sum() });
        }
        if (this.takes('IN')) {
            this.need('(');
            const list = this.list1(() => this.expression());
            this.need(')');
            return negate({ t: 'in', at, a, list });
        }
        if (this.takes('LIKE')) {
            const e = { t: 'like', at, a, pattern: this.sum(), escape: null };
            if (this.takes('ESCAPE')) e.escape = this.sum();
            return negate(e);
        }
        return a;
    }

    sum() { return this.operators(['+', '-'], () => this.operators(['*', '/', '%'], () => this.unary())); }

    operators(ops, one) {
        let a = one();
        while (this.token.kind === 'op' && ops.includes(this.token.value)) {
            const op = this.next();
            a = { t: 'arith', at: a.at, op: op.value, opAt: op, a, b: one() };
        }
        return a;
    }

    unary() {
        const at = this.token;
        if (this.takes('+')) return { t: 'sign', at, op: '+', a: this.unary() };
        if (!this.takes('-')) return this.primary();
        if (this.token.kind === 'bigint' && this.token.value === INT_MAX + 1n) {
            this.next();
            return { t: 'literal', at, value: -(INT_MAX + 1n) };
        }
        return { t: 'sign', at, op: '-', a: this.unary() };
    }

    primary() {
        const at = this.token;
        switch (at.kind) {
        case 'bigint':
            if (at.value > INT_MAX) this.refuse(`${at.text} is outside the range of bigint`);
            // fall through
        case 'float': case 'string':
            this.next();
            return { t: 'literal', at, value: at.value };
        case 'op':
            if (this.takes('(')) {
                const e = this.expression();
                this.need(')');
                return { t: 'paren', at, a: e };
            }
            break;
        default:
            if (this.takes('NULL')) return { t: 'literal', at, value: null };
            if (this.sees('CASE')) return this.case();
            if (this.sees('CAST', '(') || this.sees('TRY_CAST', '(')) return this.cast();
            if (this.isName(at)) return this.nameOrCall();
        }
        return this.refuse(`unexpected ${at.text}`);
    }

    case() {
        const at = this.next();
        const e = { t: 'case', at, subject: this.sees('WHEN') ? null : this.expression(), whens: [], otherwise: null };
        do {
            this.need('WHEN');
            const when = this.expression();
            this.need('THEN');
            e.whens.push([when, this.expression()]);
        } while (this.sees('WHEN'));
        if (this.takes('ELSE')) e.otherwise = this.expression();
        this.need('END');
        return e;
    }

    cast() {
        const at = this.next();
        this.need('(');
        const a = this.expression();
        this.need('AS');
        const type = this.type();
        this.need(')');
        return { t: 'cast', at, tries: at.text.toUpperCase() === 'TRY_CAST', a, type };
    }

    nameOrCall() {
        const at = this.token, parts = this.path();
        const isSystem = at.kind === 'word' && parts[0].toLowerCase() === 'system' && parts.length > 1;
        if (isSystem) {
            const what = parts.slice(1).join('.').toLowerCase();
            if (what === 'timestamp') {
                if (this.takes('(')) this.need(')');
                return { t: 'timestamp', at };
            }
            if (what === 'window' && this.takes('(')) {
                this.need(')');
                if (this.takes('.')) {
                    if (!this.sees('ID')) this.refuse('System.Window() has the field Id');
                    this.next();
                    return { t: 'windowid', at };
                }
                return { t: 'window', at };
            }
            this.refuse(`there is no System.${parts.slice(1).join('.')}; there are System.Timestamp() and System.Window()`, at);
        }
        if (!this.sees('(') || at.kind === 'name') return { t: 'path', at, parts };
        if (parts[0].toLowerCase() === 'udf' && parts.length > 1) this.refuse('there are no user-defined functions', at);
        if (parts.length > 1) this.refuse(`a built-in function has no prefix: ${parts.join('.')}`, at);
        return this.call(at);
    }

    call(at) {
        this.need('(');
        const e = { t: 'call', at, name: at.text.toUpperCase(), args: [], over: null };
        if (DATE_FUNCTIONS.has(e.name) || e.name === 'ISFIRST') {
            e.unit = this.unit(e.name !== 'ISFIRST');
            if (e.name === 'ISFIRST') {
                this.need(',');
                e.size = this.count(e.unit.size, true);
            } else this.need(',');
        }
        if (this.takes('*')) e.star = true;
        else if (this.takes('DISTINCT')) e.distinct = true;
        if (e.star ? this.takes(',') : !this.sees(')')) e.args = this.list1(() => this.expression());
        this.need(')');
        if (this.sees('OVER')) {
            e.overAt = this.next();
            e.over = this.over();
        }
        return e;
    }

    over() {
        const o = { partition: [], order: [], duration: null, when: null };
        this.need('(');
        if (this.takes('PARTITION', 'BY')) o.partition = this.list1(() => this.expression());
        if (this.takes('ORDER', 'BY'))
            o.order = this.list1(() => ({ e: this.expression(), down: this.takes('DESC') || (this.takes('ASC'), false) }));
        if (this.takes('LIMIT')) {
            this.need('DURATION', '(');
            o.duration = this.duration();
            this.need(')');
        }
        if (this.takes('WHEN')) o.when = this.expression();
        this.need(')');
        return o;
    }
}

export const parse = (text) => new Parser(text).query();
