import { describe, it } from 'vitest'
import { storeContract } from '../../src/testing/store-contract.js'
import { openPGlite } from '../support/postgres.js'

describe('the Postgres store on PGlite', () => {
  const lite = openPGlite()
  for (const { name, run } of storeContract(async () => ({ store: await lite.store() }))) it(name, run)
})
