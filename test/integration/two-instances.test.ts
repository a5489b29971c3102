import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import amqplib from 'amqplib'
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { DATABASE_URL, whyNoServer } from '../support/postgres.js'
import { AMQP_URL, whyNoRabbitMq } from '../support/rabbitmq.js'
import { startChild } from './child.js'

const prefix = `two_${randomBytes(4).toString('hex')}`
const reason = (await whyNoRabbitMq()) ?? (await whyNoServer())

describe.skipIf(reason !== undefined)(`the example two-instances${reason ? ` (skipped: ${reason})` : ''}`, () => {
  afterAll(async () => {
    const client = new pg.Client({ connectionString: DATABASE_URL })
    await client.connect()
    const like = `${prefix}\\_%`
    const { rows } = await client.query<{ drop: string }>(
      `select format('drop table %I cascade', tablename) as drop from pg_tables where tablename like $1
       union all select 'drop routine if exists ' || oid::regprocedure from pg_proc where proname like $1`,
      [like],
    )
    for (const { drop } of rows) await client.query(drop)
    const { rows: sequences } = await client.query<{ name: string }>(
      'select sequencename as name from pg_sequences where sequencename like $1',
      [like],
    )
    for (const { name } of sequences) await client.query(`drop sequence "${name}"`)
    await client.end()
    await removeFromBroker()
  })

  it('has at most 60 lines', () => {
    const lines = readFileSync('examples/two-instances/main.ts', 'utf8').trimEnd().split('\n')
    expect(lines.length).toBeLessThanOrEqual(60)
  })

  it('answers at the one what was asked at the other', { timeout: 120_000 }, async () => {
    const env = { DEMO_PREFIX: prefix, AMQP_URL, DATABASE_URL }
    const child = await startChild('examples/two-instances/main.ts', { env })
    const [one, two] = [child.origin, child.origin.replace(String(child.port), String(child.port + 1))]
    await expect.poll(() => fetch(two).then(({ status }) => status), { timeout: 60_000 }).toBe(404)
    await expect.poll(() => fetch(one).then(({ status }) => status), { timeout: 60_000 }).toBe(404)
    const post = (origin: string, headers = {}) =>
      fetch(`${origin}/users`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ username: 'ada' }),
      })
    const path = (await post(one, { prefer: 'respond-async' })).headers.get('location')
    const answer = await fetch(two + path, { headers: { prefer: 'wait=20' } })
    expect([answer.status, await answer.json()]).toEqual([201, { id: path?.split('/').at(-1), username: 'ada' }])
    expect((await post(two, { prefer: 'wait=20' })).status).toBe(409)
    expect(await child.stop()).toBe(0)
  })
})

/** What the example has declared; the queues of its instances expire by themselves. */
async function removeFromBroker(): Promise<void> {
  const connection = await amqplib.connect(AMQP_URL)
  const channel = await connection.createChannel()
  const work = `${prefix}.requests.workers.CreateUser::Requested`
  const recorder = `${prefix}.results.gateway.recorder`
  for (const queue of [work, recorder]) for (const end of ['', '.parked']) await channel.deleteQueue(queue + end)
  for (const name of ['requests', 'results']) await channel.deleteExchange(`${prefix}.${name}`)
  await connection.close()
}
