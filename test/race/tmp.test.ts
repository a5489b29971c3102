import { it, expect } from 'vitest'
import { loadMutant, realCore } from './support/mutants.js'
it('loads', async () => {
  for (let i = 0; i < 5; i++) {
  const t = performance.now()
  const core = await loadMutant([{ file: 'src/core/pending-requests.ts', find: 'pending.next = this.#first.get(id)', replace: 'pending.next = undefined' }])
  process.stdout.write(`${performance.now() - t} ms\n`)
  expect(core.createGateway).toBeTypeOf('function')
  }
  await expect(loadMutant([{ file: 'src/core/pending-requests.ts', find: 'nothing like this', replace: '' }])).rejects.toThrow('0 times')
  await expect(loadMutant([{ file: 'src/core/pending.ts', find: 'nothing like this', replace: '' }])).rejects.toThrow('No source')
  for (const core of [realCore, await loadMutant([{ file: 'src/core/pending-requests.ts', find: 'pending.next = this.#first.get(id)', replace: 'pending.next = undefined' }])]) {
    const clock = { now: () => 1e12, monotonic: () => 0, setTimer: () => () => {}, setImmediate: (cb: () => void) => queueMicrotask(cb) }
for (let r = 0; r < 3; r++) {
  const t = performance.now()
  for (let i = 0; i < 2000; i++) {
    const transport = core.memoryTransport({ clock })
    const g = core.createGateway({ transport, store: core.memoryStore({ clock }), clock })
    g.command({ publish: 'Do', outcomes: { Done: 'succeeded', Refused: 'failed' } })
    await g.start()
  }
  process.stdout.write(`${(performance.now() - t) / 2} us per gateway start\n`)
}
  }
})
