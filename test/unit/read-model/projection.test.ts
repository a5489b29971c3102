import { defineProjection } from 'respond-async/read-model'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

const fold = () => ({})
const events = { Made: z.object({ id: z.string() }), Gone: z.object({}) }

describe('the definition of a projection', () => {
  it('has a fold for events of which there are schemas', () => {
    expect(defineProjection({ name: 'things', version: 1, events, on: { Made: fold } }).types).toEqual(['Made'])
  })

  it.each([
    ['a name of other characters', { name: 'a b' }, /^name is /],
    ['no whole version', { version: 0 }, /^version is 0/],
    ['no fold', { on: {} }, /^on is /],
    ['a fold that is no function', { on: { Made: {} } }, /^on Made is /],
    [
      'a fold without a schema',
      { on: { Mde: fold }, events },
      /^There is no schema for Mde, .* there are: Gone, Made\.$/,
    ],
    ['another word for gaps', { gaps: 'jump' }, /^gaps is "jump"; allowed is 'wait' or 'skip'\.$/],
    ['an option that does not exist', { keys: fold }, /keys/],
  ])('is refused with %s', (_, more, message) => {
    const definition = { name: 'things', version: 1, on: { Made: fold }, ...more }
    expect(() => defineProjection(definition as never)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG', message: expect.stringMatching(message) }),
    )
  })
})
