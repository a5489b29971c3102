import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const SCRIPT = fileURLToPath(new URL('../../../scripts/brokers.ts', import.meta.url))

it.each([
  [['foo'], 'There is no server "foo".'],
  [['redis', 'foo'], 'There is no server "foo".'],
  [['--foo'], '--foo'],
])(
  'brokers %j prints the usage, starts nothing and ends with 2',
  (args, text) => {
    const options = { encoding: 'utf8', timeout: 20_000 } as const
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', SCRIPT, ...args], options)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(text)
    expect(stderr).toContain('usage: npm run brokers -- [--install] [--stop] [')
  },
  30_000,
)
