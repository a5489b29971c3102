import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgres } from '../../../src/stores/postgres/index.js'
import { DATABASE_URL, openDatabase, whyNoServer } from '../../support/postgres.js'

const reason = await whyNoServer()

/** The server's URL with other parts. */
function at(parts: Partial<URL>): string {
  return Object.assign(new URL(DATABASE_URL), parts).href
}

async function refusal(connectionString: string, schema = 'public') {
  const client = new pg.Pool({ connectionString })
  const from = performance.now()
  const store = postgres({ client, schema, prefix: 'nowhere_', connectTimeoutMs: 2000 })
  try {
    await store.start()
  } catch (error) {
    const { code, message } = error as { code: string; message: string }
    return { code, message, ms: performance.now() - from }
  } finally {
    await store.close()
    // A connection that is never made is waited for by nobody.
    void client.end().catch(() => {})
  }
  throw new Error('it has started')
}

describe.skipIf(reason)(`the start of a Postgres store that cannot succeed${reason ? `, ${reason}` : ''}`, () => {
  const { pool, schema } = openDatabase()
  const role = `${schema}_login`
  beforeAll(() => pool.query(`create role ${role} login password 'right'`))
  afterAll(() => pool.query(`drop role ${role}`))

  const cases: [string, () => string | Promise<string>, string, RegExp][] = [
    ['nobody listens', () => 'postgres://a@127.0.0.1:1/a', 'ERR_STORE_UNAVAILABLE', /ECONNREFUSED.*option client/],
    [
      'the host is unknown',
      () => 'postgres://a@no-such-host.invalid/a',
      'ERR_STORE_UNAVAILABLE',
      // The second where there is no name server to ask.
      /(ENOTFOUND|EAI_AGAIN).*option client/,
    ],
    [
      'there is no such user',
      () => at({ username: 'nobody_here' }),
      'ERR_CONFIG',
      /refuses the user name.*option client/,
    ],
    [
      'there is no such database',
      () => at({ pathname: '/nowhere_at_all' }),
      'ERR_CONFIG',
      /no such database.*option client/,
    ],
    [
      'TLS meets a server without it',
      () => at({ search: '?sslmode=require' }),
      'ERR_CONFIG',
      /TLS with PostgreSQL fails.*option client/,
    ],
  ]
  for (const [title, url, code, text] of cases) {
    it(`says that ${title}`, async () => {
      const found = await refusal(await url())
      expect(found).toMatchObject({ code, message: expect.stringMatching(text) })
      expect(found.ms).toBeLessThan(4000)
    })
  }

  it('says that the password is wrong, where the server asks for one', async ({ skip }) => {
    const { rows } = await pool.query<{ count: number }>(
      "select count(*)::int as count from pg_hba_file_rules where type like 'host%' and auth_method in ('md5', 'scram-sha-256', 'password')",
    )
    skip(rows[0]?.count === 0, 'this server lets everybody in')
    const { code, message } = await refusal(at({ username: role, password: 'wrong' }))
    expect(code).toBe('ERR_CONFIG')
    expect(message).toMatch(/refuses the user name or the password.*option client/)
    expect(message).not.toContain('wrong')
  })

  it('says that there is no such schema, and what to call', async () => {
    const found = await refusal(DATABASE_URL, 'nowhere_at_all')
    expect(found).toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/migrate\(.*schema: 'nowhere_at_all'/),
    })
  })

  it('gives up on a server that says nothing', async () => {
    const sockets = new Set<{ destroy(): void }>()
    const silent = createServer((socket) => void sockets.add(socket)).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const found = await refusal(`postgres://a@127.0.0.1:${(silent.address() as AddressInfo).port}/a`)
    expect(found).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', message: expect.stringMatching(/option client/) })
    expect(found.ms).toBeLessThan(4000)
    for (const socket of sockets) socket.destroy()
    silent.close()
  })
})
