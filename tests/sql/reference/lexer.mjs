// The text of a query as tokens. A token: kind (word, name, string, bigint, float, op, end), text, value, line, column.

import { Refused } from './errors.mjs';
import { INT_MAX } from './values.mjs';

const OPERATORS = ['<>', '!=', '<=', '>=', '=', '<', '>', '+', '-', '*', '/', '%', '(', ')', ',', '.', ';'];

export function tokens(text) {
    const chars = [...text];
    const out = [];
    let at = 0, line = 1, column = 1;

    const ahead = (s) => [...s].every((c, i) => chars[at + i] === c);
    const step = (n = 1) => {
        for (; n > 0; n--) {
            if (chars[at] === '\n') line++, column = 1;
            else column++;
            at++;
        }
    };
    const refuse = (start, message) => { throw new Refused(start, message); };
    /** From an opening to its closing character; the closing one twice means itself. */
    const quoted = (start, close, what) => {
        let value = '';
        step();
        for (;;) {
            if (at >= chars.length) refuse(start, `this ${what} is not closed`);
            if (chars[at] === close) {
                step();
                if (chars[at] !== close) return value;
            }
            value += chars[at];
            step();
        }
    };

    for (;;) {
        const start = { line, column };
        const put = (kind, value, textOf) => out.push({ kind, value, text: textOf ?? String(value), ...start });
        const c = chars[at];
        if (c === undefined) {
            put('end', null, 'the end of the query');
            return out;
        }
        if (/\s/.test(c)) step();
        else if (ahead('--'))
            while (at < chars.length && chars[at] !== '\n') step();
        else if (ahead('/*')) {
            while (at < chars.length && !ahead('*/')) step();
            if (at >= chars.length) refuse(start, 'this comment is not closed');
            step(2);
        } else if (c === "'") put('string', quoted(start, "'", 'string'));
        else if (/[nN]/.test(c) && chars[at + 1] === "'") {
            step();
            put('string', quoted(start, "'", 'string'));
        } else if (c === '[') put('name', quoted(start, ']', 'name in brackets'));
        else if (c === '"') put('name', quoted(start, '"', 'name in double quotes')), out.at(-1).doubleQuoted = true;
        else if (/[A-Za-z_\u0080-\u{10ffff}]/u.test(c)) {
            let word = '';
            while (at < chars.length && /[A-Za-z0-9_\u0080-\u{10ffff}]/u.test(chars[at])) word += chars[at], step();
            put('word', word);
        } else if (/[0-9]/.test(c) || (c === '.' && /[0-9]/.test(chars[at + 1] ?? ''))) {
            const [word] = /^(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?/.exec(chars.slice(at, at + 400).join(''));
            step(word.length);
            if (/[A-Za-z_0-9]/.test(chars[at] ?? '')) refuse(start, `"${word}${chars[at]}" is no number`);
            number(word, start, put);
        } else {
            const op = OPERATORS.find(ahead) ?? refuse(start, `unexpected character "${c}"`);
            step(op.length);
            put('op', op === '!=' ? '<>' : op, op);
        }
    }
}

function number(word, start, put) {
    if (/[.eE]/.test(word)) {
        if (!Number.isFinite(Number(word))) throw new Refused(start, `${word} is beyond the largest float`);
        put('float', Number(word), word);
    } else {
        if (BigInt(word) > INT_MAX + 1n) throw new Refused(start, `${word} is outside the range of bigint`);
        put('bigint', BigInt(word), word); // 2^63 is for the parser to judge: it may follow a minus
    }
}
