import { adapterContract } from 'respond-async/testing'
import { describe, it } from 'vitest'
import { targets } from './adapter-targets.js'

describe.each(targets)('adapter contract on $name', (target) => {
  for (const { name, skip, run } of adapterContract(target)) {
    it(name, { skip: skip !== undefined }, run)
  }
})
