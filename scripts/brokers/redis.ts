import type { Place, Prepared, Program } from './program.js'
import { which } from './shell.js'

const START_MS = 10_000

/** Redis with every acknowledged write on the disk, and no key evicted. */
export const redis: Program = {
  missing: () => (which('redis-server') === undefined ? 'redis-server is not installed' : undefined),
  prepare: async ({ folder, port }: Place): Promise<Prepared> => {
    const settings = {
      bind: '127.0.0.1',
      port,
      dir: folder,
      appendonly: 'yes',
      appendfsync: 'always',
      'maxmemory-policy': 'noeviction',
      save: '',
      daemonize: 'no',
    }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
    const server = { command: which('redis-server') ?? 'redis-server', args }
    return { kind: 'redis', port, server, stopSignal: 'SIGTERM', startMs: START_MS }
  },
}
