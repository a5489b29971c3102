import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inject, onTestFinished } from 'vitest'

const modules = join(process.cwd(), 'node_modules')
const require = createRequire(join(process.cwd(), 'package.json'))

/** The command-line programs that consumers run, by the paths of their scripts. */
export const programs = { tsc: require.resolve('typescript/bin/tsc'), jest: require.resolve('jest/bin/jest') }

/** A project outside the repository that has the packed package, its dependencies and only the named peers. */
export interface Consumer {
  folder: string
  /** Writes a file of the project. */
  write(name: string, content: string): void
  read(name: string): string
  /** Runs a script of the project with Node and gives its output; rejects with the output when it fails. */
  node(...args: string[]): Promise<string>
}

/** Lays out a project in a temporary folder that the end of the test removes. */
export function makeConsumer(peers: readonly string[] = []): Consumer {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'respond-async-consumer-')))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  // A copy, not a link: through a link Node would look for peers beside the link's target.
  cpSync(inject('packed'), join(folder, 'node_modules/respond-async'), { recursive: true })
  for (const name of ['eventemitter3', 'ulid', ...peers]) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(modules, name), link, 'junction')
  }
  return {
    folder,
    write: (name, content) => writeFileSync(join(folder, name), content),
    read: (name) => readFileSync(join(folder, name), 'utf8'),
    node: (...args) => run(folder, args),
  }
}

function run(cwd: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '0' }
    execFile(process.execPath, args, { cwd, env, timeout: 100_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${args.join(' ')} failed\n${stdout}${stderr}`))
      else resolve(stdout)
    })
  })
}
