// Which filters match which topics (4.7), once more and as simple as can be.

export function matches(filter, topic) {
    const [f, n] = [filter.split('/'), topic.split('/')];
    if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
    for (let i = 0; i < f.length; i++) {
        if (f[i] === '#') return true;
        if (i >= n.length || (f[i] !== '+' && f[i] !== n[i])) return false;
    }
    return f.length === n.length;
}
