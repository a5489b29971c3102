import { createGateway, memoryStore, memoryTransport } from 'respond-async'
import { describe, expect, it } from 'vitest'
import { CORE_OPTIONS, resolveOptions } from '../../src/core/options.js'
import { createHttpExtension, HTTP_OPTIONS } from '../../src/http/settings.js'
import { defineProjection } from '../../src/read-model/index.js'
import { resolveSettings as resolveReadModel } from '../../src/read-model/settings.js'
import { resolveSettings } from '../../src/worker/settings.js'
import { readText } from './files.js'
import { type Table, tablesOf } from './markdown.js'

const tables = tablesOf(readText('docs/options.md'))
const transport = memoryTransport()

function tableOf(heading: string): Table {
  const table = tables.find((one) => one.heading === heading)
  if (table === undefined) throw new Error(`docs/options.md has no table under "${heading}"`)
  return table
}

function namesOf(table: Table): string[] {
  return table.rows.map(([name = '']) => name.replaceAll('`', '')).sort()
}

/** The default in a row as a number: `5000`, `1,000`; undefined for anything else. */
function numberOf(text: string | undefined): number | undefined {
  const digits = /^`?([\d,]+)`?$/.exec(text ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits.replaceAll(',', ''))
}

function differingDefaults(table: Table, settings: object): string[] {
  const real = new Map(Object.entries(settings))
  return table.rows.flatMap(([name = '', byDefault]) => {
    const value = real.get(name.replaceAll('`', ''))
    if (typeof value === 'number' && value !== numberOf(byDefault)) return [`${name}: ${byDefault} instead of ${value}`]
    if (typeof value === 'string' && `\`'${value}'\`` !== byDefault)
      return [`${name}: ${byDefault} instead of '${value}'`]
    return []
  })
}

describe('docs/options.md', () => {
  const core = tableOf('Gateway')
  const http = tableOf('Gateway over HTTP')
  const worker = tableOf('Worker')

  it('has every option of the gateway, and no other', () => {
    expect(namesOf(core)).toEqual([...CORE_OPTIONS].sort())
    expect(namesOf(http)).toEqual([...HTTP_OPTIONS].sort())
  })

  it('has the defaults of the gateway', () => {
    expect(differingDefaults(core, resolveOptions({ transport }, {}))).toEqual([])
    expect(differingDefaults(http, createHttpExtension({}).settings as object)).toEqual([])
  })

  it('has every option of a command, and no other', () => {
    const definition = { publish: 'A', outcomes: { B: 'succeeded' }, nonsense: 1 } as never
    const refused = () => createGateway({ transport }).command(definition)
    expect(namesOf(tableOf('Command'))).toEqual(namesInRefusal(refused))
  })

  it('has every option of the worker, with its default', () => {
    const retries = worker.rows.filter(([name]) => name?.includes('.'))
    const refused = () => resolveSettings({ transport, nonsense: 1 } as never)
    expect(namesOf(worker).filter((name) => !name.includes('.'))).toEqual(namesInRefusal(refused))
    const settings = resolveSettings({ transport, dedupe: { store: memoryStore() } })
    expect(differingDefaults(worker, settings)).toEqual([])
    const short = { ...worker, rows: retries.map(([name, ...more]) => [name?.replace(/\w+\./, '') ?? '', ...more]) }
    expect(short.rows.length).toBe(4)
    expect(differingDefaults(short, settings)).toEqual([])
  })

  it('has every option of a read model, with its default', () => {
    const table = tableOf('Read model')
    const projection = defineProjection<{ Done: { id: string } }, string>({
      ...{ name: 'all', version: 1, key: ({ data }) => data.id },
      on: { Done: (_, { data }) => data.id },
    })
    const refused = () => resolveReadModel({ transport, projection, nonsense: 1 } as never)
    expect(namesOf(table)).toEqual(namesInRefusal(refused))
    expect(differingDefaults(table, resolveReadModel({ transport, projection } as never))).toEqual([])
  })

  it('the table of the README repeats it', () => {
    const [table] = tablesOf(readText('README.md')).filter(({ heading }) => heading === 'Options')
    const all = { ...resolveOptions({ transport }, {}), ...(createHttpExtension({}).settings as object) }
    expect(table?.rows.length).toBeGreaterThan(10)
    expect(table && differingDefaults(table, all)).toEqual([])
    expect(
      table && namesOf(table).filter((name) => !CORE_OPTIONS.includes(name) && !HTTP_OPTIONS.includes(name)),
    ).toEqual([])
  })
})

/** The option names that the refusal of an unknown one lists. */
function namesInRefusal(refused: () => unknown): string[] {
  try {
    refused()
  } catch (error) {
    const [, list = ''] = /there are: (.*)\.$/.exec((error as Error).message) ?? []
    return list.split(', ').sort()
  }
  throw new Error('any option is taken')
}
