import { execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FOLDERS = [18, 17, 16, 15, 14, 13].map((version) => `/usr/lib/postgresql/${version}/bin`)

/** A server that a test may kill. */
export interface Cluster {
  readonly url: string
  start(): Promise<void>
  /** `immediate` is what a crash is: no goodbye, and recovery at the next start. */
  stop(mode: 'fast' | 'immediate'): Promise<void>
  remove(): Promise<void>
}

/** Why no cluster can be made, or undefined; with REQUIRE_BROKERS=1 that is an error. */
export function whyNoCluster(): string | undefined {
  if (findPrograms() !== undefined) return undefined
  const text = 'skipped: the programs of a PostgreSQL server are not installed'
  if (process.env['REQUIRE_BROKERS'] === '1') throw new Error(text)
  process.stderr.write(`${text}\n`)
  return text
}

function findPrograms(): string | undefined {
  return FOLDERS.find((folder) => existsSync(join(folder, 'initdb')))
}

/** Makes a cluster in a temporary folder, on a free port of the loopback interface; it is not started. */
export async function createCluster(): Promise<Cluster> {
  const bin = findPrograms()
  if (bin === undefined) throw new Error('The programs of a PostgreSQL server are not installed.')
  const folder = await mkdtemp(join(tmpdir(), 'postgres-'))
  const identity = serverIdentity()
  if (identity !== undefined) await chown(folder, identity.uid, identity.gid)
  const data = join(folder, 'data')
  const port = await freePort()
  const run = (program: string, args: readonly string[]) =>
    execute(join(bin, program), args, { cwd: folder, ...identity })
  await run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'])
  const options = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=${folder}`
  const stop: Cluster['stop'] = (mode) => run('pg_ctl', ['-D', data, '-m', mode, '-w', 'stop'])
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start: () => run('pg_ctl', ['-D', data, '-l', join(folder, 'log'), '-w', '-t', '120', '-o', options, 'start']),
    stop,
    async remove() {
      // A server that is down already has no file of its process.
      const isUp = await readFile(join(data, 'postmaster.pid')).then(
        () => true,
        () => false,
      )
      if (isUp) await stop('immediate')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** The server refuses to run as root. */
function serverIdentity(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres']).toString())
  return { uid: id('-u'), gid: id('-g') }
}

function execute(program: string, args: readonly string[], options: SpawnOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    // A server that goes on would hold a pipe open.
    const child = spawn(program, args, { ...options, stdio: 'ignore' })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`))))
  })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
