import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type SchemaIssue, type StandardSchema, validateData } from '../../../src/core/schema.js'

function schemaOf(validate: StandardSchema['~standard']['validate']): StandardSchema {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}

function refusing(issues: readonly SchemaIssue[]): StandardSchema {
  return schemaOf(() => ({ issues }))
}

describe('validateData', () => {
  it('gives the data as they are where there is no schema', () => {
    const data = { a: 1 }
    expect(validateData(undefined, data)).toBe(data)
  })

  it('gives what the schema makes of them', () => {
    expect(validateData(z.object({ age: z.coerce.number() }), { age: '7', more: 1 })).toEqual({ age: 7 })
  })

  it('awaits a schema that answers later', async () => {
    await expect(
      validateData(
        schemaOf(async (value) => ({ value })),
        7,
      ),
    ).resolves.toBe(7)
    const refused = validateData(
      schemaOf(async () => ({ issues: [{ message: 'no' }] })),
      7,
    )
    await expect(refused).rejects.toMatchObject({ code: 'ERR_INVALID_INPUT', message: 'no' })
  })

  it('C12 says where each rule is broken', () => {
    const issues = [
      { message: 'must be a text' },
      { message: 'too young', path: ['people', 0, { key: 'age' }] },
      { message: 'odd', path: [Symbol('s')] },
    ]
    expect(() => validateData(refusing(issues), {})).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_INPUT',
        message: 'must be a text; people.0.age: too young; Symbol(s): odd',
        details: {
          issues: [
            { message: 'must be a text', path: [] },
            { message: 'too young', path: ['people', 0, 'age'] },
            { message: 'odd', path: ['Symbol(s)'] },
          ],
        },
      }),
    )
  })
})
