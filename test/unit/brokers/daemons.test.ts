import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { stopDaemons } from '../../../scripts/brokers/daemons.js'
import { isStill, remember } from '../../../scripts/brokers/processes.js'

let cache: string
let child: ChildProcess

beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), 'respond-async-cache-'))
  vi.stubEnv('XDG_CACHE_HOME', cache)
  child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
})

afterEach(async () => {
  vi.unstubAllEnvs()
  rmSync(cache, { recursive: true })
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
})

/** Writes down what an earlier command has started. */
function note(birth?: string): string {
  const folder = join(cache, 'respond-async', 'servers')
  mkdirSync(folder, { recursive: true })
  const known = { ...remember(child.pid ?? 0), ...(birth !== undefined && { birth }) }
  const file = join(folder, 'processes.json')
  writeFileSync(file, JSON.stringify([{ kind: 'redis', processes: [known], stopSignal: 'SIGTERM' }]))
  return file
}

it('ends what was started here', { timeout: 30_000 }, async () => {
  const file = note()
  const ended = once(child, 'exit')
  expect(await stopDaemons()).toEqual(['redis'])
  expect(await ended).toEqual([null, 'SIGTERM'])
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual([])
})

it('leaves another process alone that has the number of one that was started here', { timeout: 30_000 }, async () => {
  note('before the machine was started again')
  const before = remember(child.pid ?? 0)
  expect(await stopDaemons()).toEqual([])
  expect(isStill(before)).toBe(true)
  expect([child.exitCode, child.signalCode]).toEqual([null, null])
})
