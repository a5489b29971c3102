import { describe, expect, it } from 'vitest'
import { GroupCommit, type GroupCommitOptions, Patience } from '../../../src/stores/group-commit.js'

interface Flush {
  readonly items: readonly string[]
  answer(answers?: readonly (string | Error)[]): Promise<void>
  fail(error: unknown): Promise<void>
}

/** A rejection is looked at later, when the test comes to it. */
function handled<T>(call: Promise<T>): Promise<T> {
  call.catch(() => {})
  return call
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A group commit whose batches end when the test says so. */
function setup(options: Partial<GroupCommitOptions<string, string>> = {}) {
  const flushes: Flush[] = []
  const group = new GroupCommit<string, string>({
    flush: (items) =>
      new Promise((resolve, reject) => {
        const answer = (answers: readonly (string | Error)[] = items.map((item) => `${item}!`)) => {
          resolve(answers)
          return turn()
        }
        const fail = (error: unknown) => {
          reject(error)
          return turn()
        }
        flushes.push({ items, answer, fail })
      }),
    ...options,
  })
  const itemsOf = () => flushes.map(({ items }) => items.join(''))
  const at = (index: number): Flush => {
    const flush = flushes[index]
    if (flush === undefined) throw new Error(`there is no flush ${index}, only ${itemsOf().join()}`)
    return flush
  }
  const run = (items: string) => [...items].map((item) => handled(group.run(item)))
  return { group, at, itemsOf, run }
}

const isBad = (error: unknown) => error instanceof RangeError

describe('group commit', () => {
  it('a call alone leaves at once, as a batch of one', async () => {
    const { group, at, itemsOf } = setup()
    const call = group.run('a')
    await turn()
    expect(itemsOf()).toEqual(['a'])
    await at(0).answer()
    expect(await call).toBe('a!')
  })

  it('calls of one turn leave together', async () => {
    const { run, itemsOf } = setup()
    run('abc')
    await turn()
    expect(itemsOf()).toEqual(['abc'])
  })

  it('what arrives while enough batches are on their way leaves in the next, in order', async () => {
    const { run, at, itemsOf } = setup()
    const calls = run('a')
    await turn()
    calls.push(...run('b'))
    await turn()
    calls.push(...run('c'))
    await turn()
    calls.push(...run('de'))
    await turn()
    expect(itemsOf()).toEqual(['a', 'b'])
    await at(1).answer()
    expect(itemsOf()).toEqual(['a', 'b', 'cde'])
    calls.push(...run('f'))
    await turn()
    expect(itemsOf()).toHaveLength(3)
    await at(0).answer()
    expect(itemsOf()).toEqual(['a', 'b', 'cde', 'f'])
    await at(3).answer()
    await at(2).answer()
    expect(await Promise.all(calls)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!', 'f!'])
  })

  it('with one batch in flight nothing overtakes', async () => {
    const { run, at, itemsOf } = setup({ inFlight: 1 })
    run('a')
    await turn()
    run('b')
    await turn()
    expect(itemsOf()).toEqual(['a'])
    await at(0).answer()
    expect(itemsOf()).toEqual(['a', 'b'])
  })

  it('no batch is larger than allowed', async () => {
    const { run, at, itemsOf } = setup({ maxBatch: 2 })
    const calls = run('abcde')
    await turn()
    expect(itemsOf()).toEqual(['ab', 'cd'])
    await at(0).answer()
    expect(itemsOf()).toEqual(['ab', 'cd', 'e'])
    await at(1).answer()
    await at(2).answer()
    expect(await Promise.all(calls)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!'])
  })

  it('an item can fail alone', async () => {
    const { run, at } = setup()
    const calls = run('abc')
    await turn()
    await at(0).answer(['A', new Error('no b'), 'C'])
    const settled = await Promise.allSettled(calls)
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(settled[1]).toMatchObject({ reason: { message: 'no b' } })
  })

  it('an item without an answer fails', async () => {
    const { run, at } = setup()
    const calls = run('ab')
    await turn()
    await at(0).answer(['A'])
    expect(await calls[0]).toBe('A')
    await expect(calls[1]).rejects.toThrow('none for this item')
  })

  it('a batch that fails for another reason than its data fails as a whole, once', async () => {
    const { run, at, itemsOf } = setup({ isDataError: isBad })
    const calls = run('ab')
    await turn()
    await at(0).fail(new Error('the connection is gone'))
    for (const call of calls) await expect(call).rejects.toThrow('the connection is gone')
    expect(itemsOf()).toEqual(['ab'])
  })

  it('one that fails does not stop those that wait', async () => {
    const { run, at, itemsOf } = setup({ inFlight: 1 })
    const [a] = run('a')
    await turn()
    const [b] = run('b')
    await at(0).fail(new Error('gone'))
    await expect(a).rejects.toThrow('gone')
    expect(itemsOf()).toEqual(['a', 'b'])
    await at(1).answer()
    expect(await b).toBe('b!')
  })

  it('a bad item fails alone, and the others of its batch are written in order', async () => {
    const written: string[] = []
    const sizes: number[] = []
    const group = new GroupCommit<string, string>({
      isDataError: isBad,
      flush: async (items) => {
        sizes.push(items.length)
        if (items.includes('x')) throw new RangeError('bad x')
        written.push(...items)
        return items
      },
    })
    const settled = await Promise.allSettled([...'abcxefgh'].map((item) => group.run(item)))
    expect(settled.flatMap((one, index) => (one.status === 'rejected' ? [index] : []))).toEqual([3])
    expect(settled[3]).toMatchObject({ reason: { message: 'bad x' } })
    expect(written.join('')).toBe('abcefgh')
    expect(sizes).toEqual([8, 4, 2, 2, 1, 1, 4])
  })

  it('a batch of one that fails for its data is not tried again', async () => {
    const { run, at, itemsOf } = setup({ isDataError: isBad })
    const [call] = run('x')
    await turn()
    await at(0).fail(new RangeError('bad x'))
    await expect(call).rejects.toThrow('bad x')
    expect(itemsOf()).toEqual(['x'])
  })

  it('batches that are never answered make room for the next, and their outcome is unknown', async () => {
    const { run, at, itemsOf } = setup({ patience: { ms: 20 } })
    const hung = run('a')
    await turn()
    hung.push(...run('b'))
    await turn()
    const [c] = run('c')
    const unknown = { code: 'ERR_STORE_UNAVAILABLE', details: { outcome: 'unknown' } }
    for (const call of hung) await expect(call).rejects.toMatchObject(unknown)
    await turn()
    expect(itemsOf()).toEqual(['a', 'b', 'c'])
    await at(2).answer()
    expect(await c).toBe('c!')
    // What is answered too late takes no place twice.
    await at(0).answer()
    run('d')
    await turn()
    expect(itemsOf()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('a batch that was given up is not written by halves any more', async () => {
    const { run, at, itemsOf } = setup({ patience: { ms: 20 }, isDataError: isBad })
    const calls = run('ax')
    await turn()
    for (const call of calls) await expect(call).rejects.toMatchObject({ details: { outcome: 'unknown' } })
    await at(0).fail(new RangeError('bad x'))
    expect(itemsOf()).toEqual(['ax'])
  })

  it('no batch has more bytes than allowed, and an item that has more goes alone', async () => {
    const bytesOf = (item: string) => Number(item)
    const { run, at, itemsOf } = setup({ bytesOf, maxBytes: 5, inFlight: 1 })
    const calls = run('2214950')
    for (let index = 0; index < 4; index += 1) {
      await turn()
      await at(index).answer()
    }
    await Promise.all(calls)
    expect(itemsOf()).toEqual(['221', '4', '9', '50'])
  })
})

describe('the patience with a store', () => {
  it('is that of its most patient user, and a second at least', () => {
    const patience = new Patience()
    patience.add({ callTimeoutMs: 50 })
    expect(patience.ms).toBe(1000)
    patience.add({ callTimeoutMs: 12_000 })
    patience.add()
    expect(patience.ms).toBe(12_000)
    patience.reset()
    patience.add()
    expect(patience.ms).toBe(5000)
  })
})
