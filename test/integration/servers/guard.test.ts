import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { signalOne } from '../../support/servers/process-tree.js'
import { until } from '../../support/servers/until.js'

const PROGRAM = fileURLToPath(new URL('./fixtures/forgetful.ts', import.meta.url))

it.each(['SIGKILL', 'SIGTERM'] as const)(
  'what a test process leaves behind by %s is ended and removed',
  async (signal) => {
    const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const { pids, folder } = JSON.parse(line.toString()) as { pids: number[]; folder: string }
    expect(pids.map((pid) => signalOne(pid, 0))).toEqual([true, true])
    expect(existsSync(folder)).toBe(true)
    child.kill(signal)
    const gone = () => pids.every((pid) => !signalOne(pid, 0)) && !existsSync(folder)
    await until(gone, { what: 'the end of what was started', timeoutMs: 10_000 })
  },
)
