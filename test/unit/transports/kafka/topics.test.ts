import { describe, expect, it } from 'vitest'
import { cloudEvents, nest, spring } from '../../../../src/core/profile.js'
import type { Reading } from '../../../../src/core/transport.js'
import { Topics } from '../../../../src/transports/kafka/topics.js'

const ofTypes = { Done: 'done', Failed: 'failed' }

describe('the topic of a result', () => {
  it.each([
    ['its type has one', ofTypes, ['Done', 'asked', 'done']],
    ['its type has none, and the request asks for one', ofTypes, ['Other', 'asked', 'asked']],
    ['its type has none, and the request asks for none', ofTypes, ['Other', undefined, undefined]],
    ['all types have one, and the request asks for another', 'events', ['Done', 'asked', 'asked']],
    ['all types have one, and the request asks for none', 'events', ['Done', undefined, 'events']],
    ['there are none but that of the request', undefined, ['Done', 'asked', 'asked']],
  ] as const)('where %s', (_, results, [type, asked, expected]) => {
    const topics = new Topics({ requests: 'q', ...(results && { results }) })
    expect(topics.ofResult(type, asked)).toBe(expected)
  })
})

describe('the address in a request', () => {
  const replyTo = 'replies'

  it.each([
    ['the one topic of results', { results: 'events' }, ['events', 'events']],
    ['that topic for events, and another one for replies', { results: 'events', replyTo }, ['events', replyTo]],
    ['the one for replies beside several topics of results', { results: ofTypes, replyTo }, [replyTo, replyTo]],
    ['nothing for several topics of results alone', { results: ofTypes }, [undefined, undefined]],
  ])('is %s', (_, given, [native, replies]) => {
    const topics = new Topics({ requests: 'q', ...given })
    expect(topics.addressOf({})).toBe(native)
    for (const profile of [spring(), nest(), cloudEvents()]) expect(topics.addressOf({ profile })).toBe(replies)
  })
})

describe('the topics of a reader of results', () => {
  const read = (given: ConstructorParameters<typeof Topics>[0], reading: Reading) =>
    new Topics(given).read({ channel: 'results', types: ['Done'], reading })
  const own = { kind: 'own' } as const
  const shared = { kind: 'shared', group: 'g' } as const

  it.each([
    [{ results: 'events' }, ['events']],
    [{ results: 'events', replyTo: 'replies' }, ['events', 'replies']],
    [{ results: ofTypes, replyTo: 'replies' }, ['done', 'failed', 'replies']],
    [{ results: ofTypes, replyTo: 'done' }, ['done', 'failed']],
    [{ replyTo: 'replies' }, ['replies']],
  ])('of %o have that of replies among them', (given, expected) => {
    for (const reading of [own, shared]) expect(read(given, reading)).toEqual(expected)
  })

  it('that replays are those of events alone', () => {
    const given = { results: ofTypes, replyTo: 'replies' }
    expect(read(given, { kind: 'replay', from: 'beginning' })).toEqual(['done', 'failed'])
  })
})
