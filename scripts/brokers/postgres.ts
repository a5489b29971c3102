import { chownSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Launch, Place, Prepared, Program } from './program.js'
import { runBeside, which } from './shell.js'

const START_MS = 20_000
/** Where the distributions keep the programs of each version, newest last. */
const ROOTS = ['/usr/lib/postgresql', '/opt/homebrew/opt', '/usr/local/opt']

/** A PostgreSQL cluster of its own, which trusts whoever connects over loopback. */
export const postgres: Program = {
  missing() {
    if (binOf() === undefined) return 'initdb and postgres are not installed'
    return process.getuid?.() === 0 && nonRoot() === undefined ? 'it refuses to run as root' : undefined
  },
  async prepare({ folder, port }: Place): Promise<Prepared> {
    const bin = binOf() ?? ''
    const user = process.getuid?.() === 0 ? nonRoot() : undefined
    if (user) chownSync(folder, user.uid, user.gid)
    const data = join(folder, 'data')
    const form = ['-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']
    const made = await runBeside(join(bin, 'initdb'), ['-D', data, ...form], { user, cwd: folder })
    if (!made.ok) throw new Error(`initdb has failed: ${made.output}`)
    // Sockets go into the data folder: the standard place belongs to the server of the distribution.
    const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: data, max_connections: 200 }
    const args = ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])]
    const server: Launch = { command: join(bin, 'postgres'), args, ...(user && { user }) }
    // SIGINT is the fast shutdown; SIGTERM would wait for clients to leave.
    return { kind: 'postgres', port, server, stopSignal: 'SIGINT', startMs: START_MS }
  },
}

function binOf(): string | undefined {
  const inPath = which('initdb')
  if (inPath !== undefined && which('postgres') !== undefined) return join(inPath, '..')
  const versions = ROOTS.filter(existsSync).flatMap((root) =>
    readdirSync(root)
      .filter((name) => /^(postgresql@)?\d+$/.test(name))
      .sort((a, b) => Number(a.replace(/\D/g, '')) - Number(b.replace(/\D/g, '')))
      .map((name) => join(root, name, 'bin')),
  )
  return versions.filter((bin) => existsSync(join(bin, 'initdb'))).at(-1)
}

function nonRoot(): { uid: number; gid: number } | undefined {
  const lines = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8').split('\n') : []
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  return undefined
}
