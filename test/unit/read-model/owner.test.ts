import { memoryStore, memoryTransport, type Store } from 'respond-async'
import { createReadModel } from 'respond-async/read-model'
import { describe, expect, it } from 'vitest'
import { usersProjection } from './support.js'

const EMPTY = { on: { Created: () => undefined } }

async function start(store: Store, more: Parameters<typeof usersProjection>[0], copy: 'own' | 'shared') {
  const transport = memoryTransport()
  const model = createReadModel({ transport, store, copy, projection: usersProjection(more) })
  try {
    await model.start()
  } finally {
    await model.close()
  }
}

describe.each(['own', 'shared'] as const)('the name of a read model with a copy that is %s', (copy) => {
  it('is refused at the start where another one with other events has it', async () => {
    const store = memoryStore()
    await store.start()
    await start(store, {}, copy)
    const refused = {
      code: 'ERR_CONFIG',
      message: expect.stringMatching(/"users", version 1.*Created, Deleted, Renamed/),
    }
    await expect(start(store, EMPTY, copy)).rejects.toMatchObject(refused)
    await start(store, { ...EMPTY, version: 2 }, copy)
    await start(store, { ...EMPTY, name: 'others' }, copy)
    await start(store, {}, copy)
    await store.close()
  })

  it('is that of the first of two that start at the same time', async () => {
    const store = memoryStore()
    await store.start()
    const started = await Promise.allSettled([start(store, {}, copy), start(store, EMPTY, copy)])
    expect(started.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await store.close()
  })
})
