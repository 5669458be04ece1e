// Writes a settings file the way a person would: block style, plain words where they can stand plain.

const PLAIN = /^[A-Za-z/][A-Za-z0-9/._-]*$/;
const WORD_WITH_MEANING = /^(true|false|yes|no|on|off|null|~)$/i;

function scalar(value) {
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    if (value === null) return '~';
    if (/^[0-9]+[a-z]+$/i.test(value) && !/^0[xob]|^[0-9]+e[0-9]/i.test(value)) return value; // 7d, 64MiB
    return PLAIN.test(value) && !WORD_WITH_MEANING.test(value) ? value : JSON.stringify(value);
}

const isTree = (value) => value !== null && typeof value === 'object' && Object.keys(value).length > 0;

export function toYaml(value, indent = 0) {
    const pad = ' '.repeat(indent);
    if (Array.isArray(value) && value.length > 0)
        return value
            .map((item) => (isTree(item) ? `${pad}- ${toYaml(item, indent + 2).trimStart()}` : `${pad}- ${inline(item)}\n`))
            .join('');
    if (isTree(value))
        return Object.entries(value)
            .filter(([, item]) => item !== undefined)
            .map(([key, item]) => (isTree(item) ? `${pad}${key}:\n${toYaml(item, indent + 2)}` : `${pad}${key}: ${inline(item)}\n`))
            .join('');
    return `${pad}${inline(value)}\n`;
}

function inline(value) {
    if (Array.isArray(value)) return '[]';
    if (value !== null && typeof value === 'object') return '{}';
    return scalar(value);
}
