import { describe, expect, it } from 'vitest'
import { isGatewayError } from '../../../../src/core/errors.js'
import { createDatabase } from '../../../../src/stores/postgres/client.js'

/** What a statement rejects with whose client fails like this. */
async function failureOf(error: unknown): Promise<unknown> {
  const db = createDatabase({ query: () => Promise.reject(error) })
  return db.query('select 1').catch((reason: unknown) => reason)
}

const ofSocket = (code: string) => Object.assign(new Error(`connect ${code}`), { code })
const ofServer = (code: string) => Object.assign(new Error('what the server says'), { code, severity: 'ERROR' })

describe('a connection to Postgres that is away', () => {
  it.each([
    ['refused', ofSocket('ECONNREFUSED')],
    ['refused at all addresses', Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })],
    ['of a name that is not known', ofSocket('ENOTFOUND')],
    ['not given by the pool in time', new Error('timeout exceeded when trying to connect')],
    ['to a server that starts', ofServer('57P03')],
    ['to a server that is full', ofServer('53300')],
    ['to a standby', ofServer('25006')],
  ])('%s: nothing was written', async (_, error) => {
    const reason = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'not-accepted', cause: error } }
    expect(await failureOf(error)).toMatchObject(reason)
  })

  it.each([
    ['reset', ofSocket('ECONNRESET')],
    ['broken', ofSocket('EPIPE')],
    ['silent', ofSocket('ETIMEDOUT')],
    ['closed by the other side', new Error('Connection terminated unexpectedly')],
    ['not made in time', new Error('Connection terminated due to connection timeout')],
    ['without an answer in time', new Error('Query read timeout')],
    [
      'of a client that has lost it before',
      new Error('Client has encountered a connection error and is not queryable'),
    ],
    ['ended by an administrator', ofServer('57P01')],
    ['ended by a crash', ofServer('57P02')],
    ['ended as it was idle', ofServer('57P05')],
    ['ended by a pooler', ofServer('08P01')],
    ['lost without an error', 'gone'],
  ])('%s: nobody knows what was written', async (_, error) => {
    const reason = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown', cause: error } }
    expect(await failureOf(error)).toMatchObject(reason)
  })
})

describe('other errors of Postgres', () => {
  it.each([
    ['a mistake in a statement', ofServer('42601')],
    ['a statement that was canceled', ofServer('57014')],
    ['a full disk', ofServer('53100')],
    ['a mistake in a client', new TypeError('values.map is not a function')],
  ])('%s is thrown as it is', async (_, error) => {
    expect(await failureOf(error)).toBe(error)
    expect(isGatewayError(error)).toBe(false)
  })

  it.each([
    ['22P05', 'ERR_INVALID_INPUT'],
    ['23505', 'ERR_INVALID_INPUT'],
    ['42P01', 'ERR_CONFIG'],
    ['28P01', 'ERR_CONFIG'],
  ])('%s is %s', async (code, expected) => {
    expect(await failureOf(ofServer(code))).toMatchObject({ code: expected })
  })

  it('a statement that was rolled back against a deadlock is run again, and tried six times', async () => {
    let runs = 0
    const deadlock = ofServer('40P01')
    const query = async () => {
      runs += 1
      throw deadlock
    }
    await expect(createDatabase({ query }).query('select 1')).rejects.toBe(deadlock)
    expect(runs).toBe(6)
  })
})
