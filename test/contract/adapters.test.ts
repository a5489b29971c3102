import { describe, it } from 'vitest'
import { adapterContract } from '../../src/testing/adapter-contract.js'
import { targets } from './adapter-targets.js'

describe.each(targets)('adapter contract on $name', (target) => {
  for (const { name, skip, run } of adapterContract(target)) {
    it(name, { skip: skip !== undefined }, run)
  }
})
