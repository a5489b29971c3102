import { describe, expect, it } from 'vitest'
import { resolveSettings } from '../../src/transports/amqp/options.js'
import { readText } from './files.js'
import { tablesOf } from './markdown.js'

const table = tablesOf(readText('docs/rabbitmq.md')).find(({ heading }) => heading === 'Options')
const rows = (table?.rows ?? []).map(([name = '', byDefault = '']) => [name.replaceAll('`', ''), byDefault] as const)

describe('docs/rabbitmq.md', () => {
  it('has every option, and no other', () => {
    const refused = () => resolveSettings({ url: 'amqp://localhost', nonsense: 1 } as never)
    expect(refused).toThrow(/there are: /)
    try {
      refused()
    } catch (error) {
      const [, list = ''] = /there are: (.*)\.$/.exec((error as Error).message) ?? []
      const names = new Set(rows.map(([name]) => name.split('.')[0] ?? ''))
      expect([...names].sort()).toEqual(list.split(', ').sort())
    }
  })

  it('has their defaults', () => {
    const settings = resolveSettings({ url: 'amqp://localhost' })
    const all = { ...settings, 'requests.deliveryLimit': settings.requests.deliveryLimit }
    const shown = Object.fromEntries(rows)
    const simple = Object.entries(all).filter(([, value]) => ['number', 'string', 'boolean'].includes(typeof value))
    const written = (value: unknown) =>
      typeof value === 'number'
        ? value.toLocaleString('en-US')
        : `\`${typeof value === 'string' ? `'${value}'` : value}\``
    const others = simple.filter(([name, value]) => name !== 'url' && shown[name] !== written(value))
    expect(simple.length).toBeGreaterThan(8)
    expect(others).toEqual([])
  })
})
