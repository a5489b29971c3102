import { describe, it } from 'vitest'
import { transportContract } from '../../src/testing/transport-contract.js'
import { memoryTransport } from '../../src/transports/memory/index.js'

describe('the memory transport', () => {
  for (const { name, run } of transportContract(() => memoryTransport())) it(name, run)
})
