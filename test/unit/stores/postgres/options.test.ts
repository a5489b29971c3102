import { describe, expect, it } from 'vitest'
import {
  migrate,
  type PostgresClient,
  type PostgresStoreOptions,
  postgres,
  type SchemaOptions,
  schemaSql,
} from '../../../../src/stores/postgres/index.js'

const client = { query: async () => ({ rows: [] }) }

function refusal(make: () => unknown): string {
  try {
    make()
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CONFIG' })
    return (error as Error).message
  }
  return 'it was taken'
}

describe('the options of postgres()', () => {
  it.each([
    [undefined, /^the options of postgres\(\) is undefined/],
    [{}, /client must have a query method/],
    [{ client, perfix: 'x_' }, /^postgres\(\) has no option "perfix"; there are: client, /],
    [{ client, schema: null }, /schema must be .*not null/],
    [{ client, schema: 'A' }, /schema must be .*not "A"/],
    [{ client, prefix: 5 }, /prefix must be .*not 5/],
    [{ client, prefix: ['a'] }, /prefix must be/],
    [{ client, listen: 'x' }, /^listen is "x"; allowed is a function that makes a connection/],
    [{ client, pollMs: 0 }, /pollMs must be a whole number/],
    [{ client, pollMs: 2 ** 31 }, /pollMs must be a whole number/],
  ])('%o is refused in a sentence that names the option', (options, text) => {
    expect(refusal(() => postgres(options as PostgresStoreOptions))).toMatch(text)
  })

  it('every option is taken', () => {
    const all = { schema: 'a', prefix: '', listen: () => ({}), pollMs: 1, maxBatch: 1, inFlight: 1 }
    expect(refusal(() => postgres({ client, ...all } as unknown as PostgresStoreOptions))).toBe('it was taken')
  })

  it.each([[{ pefix: 'x' }], [{ schema: null }], [null]])('the tables are not made with %o either', async (options) => {
    expect(refusal(() => schemaSql(options as unknown as SchemaOptions))).not.toBe('it was taken')
    const migrated = migrate(client as unknown as PostgresClient, options as unknown as SchemaOptions)
    await expect(migrated).rejects.toMatchObject({ code: 'ERR_CONFIG' })
  })
})
