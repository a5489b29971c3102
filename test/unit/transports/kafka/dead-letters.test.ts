import { describe, expect, it } from 'vitest'
import { GatewayError } from '../../../../src/core/errors.js'
import { DeadLetters } from '../../../../src/transports/kafka/dead-letters.js'
import type { OutgoingRecord } from '../../../../src/transports/profiles/kafka-wire.js'

const record = {
  topic: 'events',
  partition: 2,
  offset: 7n,
  timestamp: 0,
  key: Buffer.from('k'),
  value: Buffer.from('{{{{'),
  headers: [['ce_type', Buffer.from('Done')]] as const,
}
const refused = (text: string) => new GatewayError('ERR_PUBLISH_REJECTED', text, { outcome: 'not-accepted' })

/** Parks the record where the topic answers by these, one after the other. */
function setup(answers: readonly (Error | undefined)[], topic: string | undefined = 'dead') {
  const written: OutgoingRecord[] = []
  const warnings: string[] = []
  const errors: GatewayError[] = []
  const left = [...answers]
  const deadLetters = new DeadLetters({
    topic,
    async publish(outgoing) {
      const answer = left.shift()
      if (answer !== undefined) throw answer
      written.push(outgoing)
    },
    warn: (text) => warnings.push(text),
    report: (error) => errors.push(error),
  })
  return { deadLetters, written, warnings, errors, park: () => deadLetters.park(record, 'g') }
}

const shown = (written: readonly OutgoingRecord[]) =>
  written.map(({ topic, key, value, headers }) => ({
    topic,
    key: String(key),
    value: String(value),
    headers: Object.fromEntries(headers.map(([name, bytes]) => [name, String(bytes)])),
  }))

const origin = { parked_topic: 'events', parked_partition: '2', parked_offset: '7', parked_group: 'g' }

describe('dead letters', () => {
  it('are the records as they were, and where they come from', async () => {
    const { deadLetters, written, warnings, errors, park } = setup([])
    await park()
    const headers = { ce_type: 'Done', ...origin }
    expect(shown(written)).toEqual([{ topic: 'dead', key: 'k', value: '{{{{', headers }])
    expect([deadLetters.parked, warnings.length, errors]).toEqual([1, 1, []])
  })

  it('FM-C9 say where a record is that their topic refuses for good', async () => {
    const { deadLetters, written, warnings, errors, park } = setup([refused('too large')])
    await park()
    expect(warnings).toEqual([expect.stringContaining('only where it is')])
    const headers = { ...origin, parked_reason: 'too large', parked_bytes: '4' }
    expect(shown(written)).toEqual([{ topic: 'dead', key: 'events:2:7', value: '', headers }])
    expect([deadLetters.parked, errors]).toEqual([1, []])
  })

  it('FM-C9 that are all refused are left behind, and each is reported', async () => {
    const no = refused('Kafka has no topic dead.')
    const { deadLetters, written, errors, park } = setup([no, no, no, no])
    await park()
    await park()
    expect([deadLetters.parked, written]).toEqual([2, []])
    expect(errors.map(({ code, message }) => [code, message])).toEqual(
      Array.from({ length: 2 }, () => [
        'ERR_PUBLISH_REJECTED',
        expect.stringMatching(/offset 7 of events:2, and it is left behind.*topics\.deadLetters.*no topic dead/),
      ]),
    )
  })

  it.each([
    ['a record', []],
    ['the note of where it is', [refused('too large')]],
  ])('whose topic is away for %s are tried again', async (_, before) => {
    const { deadLetters, errors, park } = setup([...before, new GatewayError('ERR_TRANSPORT_UNAVAILABLE', 'away')])
    await expect(park()).rejects.toMatchObject({ code: 'ERR_TRANSPORT_UNAVAILABLE' })
    expect([deadLetters.parked, errors]).toEqual([0, []])
  })
})
