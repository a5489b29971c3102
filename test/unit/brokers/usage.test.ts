import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { freePort } from '../../../scripts/brokers/ports.js'

const SCRIPT = fileURLToPath(new URL('../../../scripts/brokers.ts', import.meta.url))

/** Runs the command where nothing can be started or installed: there is no program on its PATH. */
function brokers(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const options = { encoding: 'utf8', timeout: 50_000, env: { ...process.env, PATH: '', ...env } } as const
  return spawnSync(process.execPath, ['--import', 'tsx', SCRIPT, ...args], options)
}

it.each([
  [['foo'], 'There is no server "foo".'],
  [['redis', 'foo'], 'There is no server "foo".'],
  [['--foo'], '--foo'],
])(
  'brokers %j prints the usage, starts nothing and ends with 2',
  (args, text) => {
    const { status, stdout, stderr } = brokers(args)
    expect([status, stdout]).toEqual([2, ''])
    expect(stderr).toContain(text)
    expect(stderr).toContain('usage: npm run brokers -- [--install] [--stop] [')
  },
  60_000,
)

it('brokers --help prints the usage, starts nothing and ends with 0', { timeout: 60_000 }, () => {
  const { status, stdout, stderr } = brokers(['--help'])
  expect([status, stderr]).toEqual([0, ''])
  expect(stdout).toMatch(/^usage: npm run brokers -- .*\n\nFinds these servers.*AMQP_URL, KAFKA_BROKERS/)
})

it('a server that the environment names and that is away is an error at once', { timeout: 60_000 }, async () => {
  const port = await freePort()
  const { status, stdout, stderr } = brokers(['redis'], { REDIS_URL: `redis://127.0.0.1:${port}` })
  expect(status).toBe(1)
  expect(stdout).toBe(`Redis  missing  REDIS_URL: 127.0.0.1:${port} ECONNREFUSED\n`)
  expect(stderr).toBe(
    'Nothing was started: start the Redis that REDIS_URL names, correct REDIS_URL, or unset it to have one found or started.\n',
  )
})
