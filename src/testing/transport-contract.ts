import assert from 'node:assert/strict'
import { type EventMessage, parseData } from '../core/event.js'
import type { Transport } from '../core/transport.js'
import { type ContractCase, type ContractOptions, refuses, toCases } from './contract.js'
import { type MessageInit, type TransportCases, TransportKit } from './transport-kit.js'
import { READING } from './transport-reading.js'

/**
 * What every transport must do. `create` makes a transport that is not started; several may share one broker.
 * @example for (const { name, run } of transportContract(() => myTransport())) it(name, run)
 */
export function transportContract(
  create: () => Promise<Transport> | Transport,
  options: ContractOptions = {},
): ContractCase[] {
  const open = async (): Promise<TransportKit> => {
    const transport = await create()
    await transport.start()
    return new TransportKit(transport, create, options)
  }
  return toCases({ ...LIFE, ...READING, ...CONTENT }, open, options)
}

const LIFE: TransportCases = {
  'nothing can be published or read before the start': async (kit) => {
    const transport = await kit.create()
    const [message] = await kit.answer({})
    assert.ok(message)
    await refuses(transport.publish(message, { channel: 'results' }), 'ERR_TRANSPORT_UNAVAILABLE')
    const reading = { kind: 'own' } as const
    const call = transport.subscribe({ channel: 'results', types: [kit.resultType], reading }, async () => 'ack')
    await refuses(call, 'ERR_TRANSPORT_UNAVAILABLE')
    await transport.close()
  },
  'nothing can be published or read after the last close': async (kit) => {
    await kit.transport.close()
    await refuses(kit.answer({}), 'ERR_TRANSPORT_UNAVAILABLE')
    await refuses(kit.own(), 'ERR_TRANSPORT_UNAVAILABLE')
    await kit.transport.close()
  },
  'a transport that two users started works until both have closed it': async (kit) => {
    await kit.transport.start()
    const before = await kit.own()
    await kit.transport.close()
    const after = await kit.own()
    await kit.answer({})
    await kit.until(() => before.ids.length === 1 && after.ids.length === 1)
    await kit.transport.close()
    await refuses(kit.answer({}), 'ERR_TRANSPORT_UNAVAILABLE')
  },
  'the last close ends the readers': async (kit) => {
    const inbox = await kit.own()
    await kit.transport.close()
    await inbox.close()
  },
  'a check passes while the broker can be reached, and fails after the last close': async (kit) => {
    await kit.transport.check()
    await kit.transport.close()
    await assert.rejects(kit.transport.check())
  },
}

/** Sends a result and gives what arrives, after checking that its body and its headers are those that were sent. */
async function roundTrip(kit: TransportKit, init: MessageInit): Promise<EventMessage> {
  const inbox = await kit.own()
  const [sent] = await kit.answer(init)
  await kit.until(() => inbox.ids.length === 1)
  const [got] = inbox.messages
  assert.ok(sent && got)
  assert.deepEqual(Buffer.from(got.body), Buffer.from(sent.body))
  assert.deepEqual(Object.entries(got.headers).sort(), Object.entries(sent.headers).sort())
  return got
}

const CONTENT: TransportCases = {
  'an envelope arrives as it was sent': async (kit) => {
    const envelope = {
      id: kit.name('id'),
      source: 'contract suite',
      time: 1_700_000_000_123,
      correlationId: kit.name('correlation'),
      causationId: kit.name('cause'),
      key: 'käse/42 ✓',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=opaque',
      tenant: 'tenant 1',
      dataSchema: 'https://schemas.example/answered/1',
      contentType: 'application/vnd.example+json; charset=utf-8',
    }
    const got = await roundTrip(kit, { ...envelope, headers: { 'x-one': '1', 'X-Two': 'zwölf ✓' } })
    assert.equal(got.type, kit.resultType)
    for (const [name, value] of Object.entries(envelope)) assert.equal(got[name as keyof EventMessage], value, name)
  },
  'FM-A8 what an envelope lacks stays absent, the correlation id too': async (kit) => {
    const got = await roundTrip(kit, {})
    const optional = [
      'correlationId',
      'causationId',
      'key',
      'traceparent',
      'tracestate',
      'tenant',
      'dataSchema',
    ] as const
    for (const name of optional) assert.equal(got[name], undefined, name)
  },
  'a request carries where its results should go': async (kit) => {
    const inbox = await kit.worker()
    await kit.ask({ replyTo: 'replies.here' })
    await kit.until(() => inbox.ids.length === 1)
    assert.equal(inbox.messages[0]?.replyTo, 'replies.here')
  },
  'a body of half a MiB arrives whole': async (kit) => {
    await roundTrip(kit, { data: { text: 'äöü✓ '.repeat(2 ** 16) } })
  },
  'bytes stay bytes': async (kit) => {
    const body = Uint8Array.from({ length: 512 }, (_, index) => index % 256)
    const got = await roundTrip(kit, { body, contentType: 'application/octet-stream' })
    assert.equal(got.contentType, 'application/octet-stream')
  },
  'an empty body stays empty': async (kit) => {
    await roundTrip(kit, { body: new Uint8Array(0) })
  },
  "FM-C9 a body that cannot be parsed is none of the transport's business": async (kit) => {
    const got = await roundTrip(kit, { body: Buffer.from('{"half":') })
    assert.equal(got.contentType, 'application/json')
  },
  'FM-C9 of an event whose envelope cannot be read all is left that stands beside its body': async (kit) => {
    const correlationId = kit.name('correlation')
    const readers = [await kit.own(), await kit.recorder()]
    await kit.answer({ correlationId, contentType: 'application/cloudevents+json', body: Buffer.from('{"half":') })
    await kit.answer({})
    for (const inbox of readers) {
      // It holds up nothing that comes behind it.
      await kit.until(() => inbox.ids.length === 2)
      const got = inbox.messages.find((message) => message.correlationId === correlationId)
      assert.equal(got?.type, kit.resultType)
      assert.throws(() => parseData(got), SyntaxError)
    }
  },
  'FM-H10 a header called __proto__ is a header like any other': async (kit) => {
    const headers = JSON.parse('{"__proto__":"polluted","constructor":"c","hasOwnProperty":"h"}')
    const got = await roundTrip(kit, { headers })
    assert.equal(Object.hasOwn(got.headers, '__proto__'), true)
    assert.equal(Object.hasOwn(Object.prototype, 'polluted'), false)
  },
  'a header may be empty, and have any case': async (kit) => {
    await roundTrip(kit, { headers: { 'X-Empty': '', 'MiXeD-cAsE': 'kept', 'with.dots_and-dashes': 'x' } })
  },
}
