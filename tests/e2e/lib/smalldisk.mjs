// A disk of a few megabytes: a tmpfs in a mount namespace of its own. Root is not needed (`unshare -r`), nothing of it is
// seen outside, and it is gone with the process that holds it.

import { run, start } from './process.mjs';
import { tempFolder } from './node.mjs';
import { within } from './wait.mjs';

export class SmallDisk {
    static async make({ t, size }) {
        const self = new SmallDisk();
        self.folder = tempFolder('disk');
        const root = process.getuid() === 0;
        const script = 'mount -t tmpfs -o "size=$0" none "$1" && echo mounted && exec sleep 100000';
        let mounted;
        const ready = new Promise((resolve) => (mounted = resolve));
        self.holder = start('unshare', [root ? '-m' : '-rm', 'sh', '-c', script, size, self.folder], { onLine: () => mounted() });
        await within(Promise.race([ready, self.holder.exited.then(() => {
            throw new Error(`no small disk: ${self.holder.err.join(' / ')}`);
        })]), 'a tmpfs is mounted');
        self.enter = ['nsenter', '-t', String(self.holder.pid), ...(root ? [] : ['-U', '--preserve-credentials']), '-m'];
        t?.after(() => self.holder.kill('SIGKILL'));
        return self;
    }

    /** Runs a program that sees the disk. */
    run(program, args, options) {
        const [nsenter, ...rest] = this.enter;
        return run(nsenter, [...rest, program, ...args], { timeoutMs: 30_000, ...options });
    }

    /** Takes space away with a file, and gives it back. */
    async ballast(megabytes) {
        const { code, err } = await this.run('fallocate', ['-l', `${megabytes}M`, `${this.folder}/ballast`]);
        if (code !== 0) throw new Error(err.join('\n'));
    }
    dropBallast() {
        return this.run('rm', [`${this.folder}/ballast`]);
    }
}
