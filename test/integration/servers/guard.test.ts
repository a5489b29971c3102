import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { whyNoProcessTable } from '../../support/servers/process-table.mjs'
import { signalOne } from '../../support/servers/signals.js'
import { until } from '../../support/servers/until.js'

const PROGRAM = fileURLToPath(new URL('./fixtures/forgetful.ts', import.meta.url))
const GUARD = fileURLToPath(new URL('../../support/servers/guard.mjs', import.meta.url))

const missing = whyNoProcessTable()
if (missing !== undefined) process.stderr.write(`skipped: ${missing}\n`)

describe.skipIf(missing)(`what a test process leaves behind${missing ? ` (skipped: ${missing})` : ''}`, () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('is ended and removed behind a %s', { timeout: 90_000 }, async (signal) => {
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { pids, folder } = JSON.parse(line.toString()) as { pids: number[]; folder: string }
    expect(pids.map((pid) => signalOne(pid, 0))).toEqual([true, true])
    expect(existsSync(folder)).toBe(true)
    child.kill(signal)
    const gone = () => pids.every((pid) => !signalOne(pid, 0)) && !existsSync(folder)
    await until(gone, { what: 'the end of what was started', timeoutMs: 30_000 })
  })
})

it('a guard that fails at one thing says so, and still removes the others', { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'respond-async-guarded-'))
  const input = ['+pid nonsense', '+folder no\u0000folder', `+folder ${folder}`, ''].join('\n')
  const { status, stderr } = spawnSync(process.execPath, [GUARD], { input, encoding: 'utf8' })
  expect(stderr).toMatch(/pid NaN is not killed: .*\n.*no\0folder is not removed: /)
  expect([status, existsSync(folder)]).toEqual([1, false])
})
