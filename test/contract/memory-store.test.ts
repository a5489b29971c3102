import { describe, it } from 'vitest'
import { memoryStore } from '../../src/stores/memory/index.js'
import { createFakeClock } from '../../src/testing/fake-clock.js'
import { storeContract } from '../../src/testing/store-contract.js'

function setup() {
  const clock = createFakeClock()
  return { store: memoryStore({ clock }), advance: clock.advance }
}

describe('the memory store', () => {
  for (const { name, run } of storeContract(setup)) it(name, run)
})

describe('the memory store in real time', () => {
  for (const { name, run } of storeContract(() => ({ store: memoryStore() }))) it(name, run)
})
