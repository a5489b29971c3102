import { describe, it } from 'vitest'
import { postgres } from '../../src/stores/postgres/index.js'
import { storeContract } from '../../src/testing/store-contract.js'
import { openDatabase, whyNoServer } from '../support/postgres.js'

const reason = await whyNoServer()

describe.skipIf(reason)(`the Postgres store on a server${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase()
  for (const { name, run } of storeContract(async () => ({ store: await database.store() }))) it(name, run)
})

describe.skipIf(reason)(`the Postgres store without LISTEN${reason ? `, ${reason}` : ''}`, () => {
  const database = openDatabase({ max: 2 })
  const create = async () => ({ store: postgresOf(await database.prefix()) })
  const postgresOf = (prefix: string) => postgres({ client: database.pool, schema: database.schema, prefix })
  for (const { name, run } of storeContract(create)) it(name, run)
})
