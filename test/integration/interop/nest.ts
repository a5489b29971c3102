import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missing, startWorker, type WorkerProcess } from './worker-process.js'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const example = join(root, 'examples/nest-worker')
const loader = createRequire(import.meta.url).resolve('tsx')

/** The releases of `@nestjs/microservices` and of its companions with which the worker is tried, unchanged. */
export const NEST = {
  'Nest 11': { '@nestjs/common': '11.2.10', '@nestjs/core': '11.2.10', '@nestjs/microservices': '11.2.6' },
  'Nest 12': { '@nestjs/common': '12.5.1', '@nestjs/core': '12.5.1', '@nestjs/microservices': '12.1.1' },
} as const

/** The name of a release. */
export type NestRelease = keyof typeof NEST

function folderOf(release: NestRelease): string {
  return join(root, 'node_modules/.cache/respond-async', release.toLowerCase().replace(' ', '-'))
}

/** Installs a release beside the project, once; gives why that is not possible. */
export function whyNoNest(release: NestRelease): string | undefined {
  const folder = folderOf(release)
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(example).filter((name) => /\.ts$|tsconfig/.test(name)))
    copyFileSync(join(example, file), join(folder, file))
  const manifest = JSON.parse(readFileSync(join(example, 'package.json'), 'utf8'))
  const wanted = JSON.stringify({ ...manifest, dependencies: { ...manifest.dependencies, ...NEST[release] } }, null, 2)
  const path = join(folder, 'package.json')
  const isThere = existsSync(join(folder, 'node_modules/@nestjs/microservices')) && existsSync(path)
  if (isThere && readFileSync(path, 'utf8') === wanted) return undefined
  writeFileSync(path, wanted)
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error']
  const { status, stderr } = spawnSync('npm', args, { cwd: folder, encoding: 'utf8', timeout: 180_000 })
  return status === 0 ? undefined : missing(`${release} cannot be installed: ${stderr.slice(-500)}`)
}

/** Runs `examples/nest-worker` with a release of Nest. */
export function startNest(release: NestRelease, env: Readonly<Record<string, string>>): Promise<WorkerProcess> {
  return startWorker({
    command: process.execPath,
    args: ['--import', loader, 'main.ts'],
    cwd: folderOf(release),
    env,
    ready: /worker ready/,
  })
}
