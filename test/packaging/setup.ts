import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of the package as a user gets it: packed and unpacked. */
    packed: string
  }
}

/** The newest change of a file, or of any file below a folder. */
function newest(path: string): number {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}

function isBuilt(): boolean {
  if (!existsSync('dist/index.js') || !existsSync('dist/index.d.cts')) return false
  return (
    Math.max(...['src', 'scripts/entries.ts', 'tsup.config.ts'].map(newest)) <= statSync('dist/index.d.cts').mtimeMs
  )
}

/** Runs a program and shows what it says of its failure; npm is a command file on Windows, hence the shell. */
function run(command: string, cwd = '.'): void {
  const { status } = spawnSync(command, { cwd, shell: true, stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`"${command}" failed`)
}

/** Builds when dist is older than the sources, packs once, and gives every test file the unpacked folder. */
export function setup({ provide }: TestProject): () => void {
  if (!isBuilt()) run('npm run --silent build')
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'respond-async-packed-')))
  run(`npm pack --silent --pack-destination "${folder}"`)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack wrote no tarball')
  run(`tar -xzf ${tarball}`, folder)
  provide('packed', join(folder, 'package'))
  return () => rmSync(folder, { recursive: true, force: true })
}
