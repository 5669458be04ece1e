// A node whose system calls fail or take their time: options for startNode, or for node.options before its next start.

const PLAIN = { wrap: [], env: undefined };

/** `what` is strace's own: inject('fdatasync', 'error=EIO:when=40+'), inject('pwrite64', 'delay_enter=40000'). */
export function inject(call, what) {
    return {
        // -D: the node is our child and strace its grandchild, so that signals to our child reach the node.
        wrap: ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${what}`],
        // The leak check of a sanitizer build does not work in a process that is traced.
        env: { ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'detect_leaks=0'].filter(Boolean).join(':') },
    };
}

/** From its next start on, the node is as `options` say; without them, as it is. */
export function startsWith(node, options = PLAIN) {
    Object.assign(node.options, options);
}
