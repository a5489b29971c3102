import { execFileSync } from 'node:child_process'
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

/** Builds when dist is older than the sources, packs once, and gives every test file the unpacked folder. */
export function setup({ provide }: TestProject): () => void {
  // One string for the shell: on Windows npm is a command file.
  const npm = (command: string) => execFileSync(`npm ${command}`, { shell: true, stdio: ['ignore', 'pipe', 'inherit'] })
  if (!isBuilt()) npm('run --silent build')
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'respond-async-packed-')))
  npm(`pack --silent --pack-destination "${folder}"`)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack wrote no tarball')
  execFileSync('tar', ['-xzf', tarball], { cwd: folder })
  provide('packed', join(folder, 'package'))
  return () => rmSync(folder, { recursive: true, force: true })
}
