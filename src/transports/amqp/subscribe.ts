import { GatewayError } from '../../core/errors.js'
import type { EventMessage } from '../../core/event.js'
import { createId } from '../../core/ids.js'
import type { Reader } from '../../core/transport.js'
import { lingersMs, notAlone, whenAlone } from './alone.js'
import type { AmqpChannel, AmqpMessage } from './client.js'
import { KeptReader } from './kept.js'
import { markerContent, markerId } from './marker.js'
import type { OwnUser } from './own-readers.js'
import { startOf } from './place.js'
import { type QueueHandler, QueueReader, type Source } from './reader.js'
import { ReplayReader } from './replay.js'
import type { Running, Shared, Wanted } from './running.js'
import { probeContent } from './self-probe.js'

/** An own reader takes what comes; this keeps it from taking more at a time than it can hold. */
const OWN_PREFETCH = 1024
const SHARED_CONCURRENCY = 16
/** Ends the routing keys of what a replay sends itself to know how far it is. */
const MARKER = '.ra-marker'

/** Opens a reader of the kind that is wanted. */
export async function subscribe(wanted: Wanted, running: Running, shared: Shared): Promise<Reader> {
  const { channel, reading } = wanted.subscription
  if (reading.kind === 'replay') {
    if (channel !== 'results') throw new GatewayError('ERR_CONFIG', 'Of the two channels the results can be replayed.')
    return shared.settings.replay === 'queues' ? readKept(wanted, running, shared) : replay(wanted, running, shared)
  }
  if (channel === 'results' && running.direct !== undefined) return running.direct.join(reading.kind, wanted.onMessage)
  return readQueues(wanted, running, shared)
}

async function readQueues({ subscription, onMessage }: Wanted, running: Running, shared: Shared): Promise<Reader> {
  const { reading, channel } = subscription
  const { settings, count } = shared
  const sources = sourcesOf(subscription, shared)
  const isOwn = reading.kind === 'own'
  const awaited = new Set(subscription.types)
  const address = `${sources[0]?.queue}.`
  const deliver: QueueHandler = (message, delivery, { exchange, routingKey }) => {
    if (exchange === '') return running.own.deliverToAll(message, delivery)
    if (!routingKey.startsWith(address)) return running.own.deliver(reader, message, delivery)
    return running.own.deliverTyped(routingKey.slice(address.length), message, delivery)
  }
  const reader: QueueReader = new QueueReader({
    ...{ sources, isOwn, onMessage: isOwn ? deliver : onMessage, count },
    concurrency: reading.kind === 'shared' ? (reading.concurrency ?? SHARED_CONCURRENCY) : OWN_PREFETCH,
    clock: settings.clock,
    link: running.reading,
    parse: (message, source) => {
      return parse(message, { type: source.type, awaited, takesUnreadable: channel === 'results' }, shared)
    },
    probe: (queue) => running.publisher.publish(probeContent(), { exchange: '', key: queue, mandatory: false }),
    isBlocked: () => running.isBlocked,
    onClosed: (closed) => {
      running.readers.delete(closed)
      for (const { queue } of sources) running.replyTo.delete(queue)
    },
  })
  // Before anything can come.
  const user: OwnUser = { handler: onMessage, types: awaited, isNamed: () => isNamed(sources, running) }
  const made: Reader = isOwn ? running.own.join(reader, user) : reader
  try {
    await running.reading.add(reader)
  } catch (error) {
    await made.close()
    throw error
  }
  running.readers.add(reader)
  if (channel === 'results' && isOwn === (settings.replyTo === 'own'))
    for (const { queue } of sources) running.replyTo.add(queue)
  return made
}

function isNamed(sources: readonly Source[], { replyTo }: Running): boolean {
  const [named] = replyTo
  return sources.some(({ queue }) => queue === named)
}

function sourcesOf({ channel, types, reading }: Wanted['subscription'], { topology }: Shared): readonly Source[] {
  if (reading.kind === 'shared' && channel === 'requests') {
    return [...new Set(types)].map((type): Source => {
      const queue = topology.requestQueue(reading.group, type)
      return { queue, type, declare: (on) => topology.declareRequests(on, queue, type) }
    })
  }
  if (channel === 'requests') throw new GatewayError('ERR_CONFIG', 'RabbitMQ gives requests to groups of workers only.')
  if (reading.kind === 'shared') {
    const queue = topology.recorderQueue(reading.group)
    return [{ queue, declare: (on) => topology.declareRecorder(on, queue, types) }]
  }
  const queue = topology.ownQueue()
  let isAllowed = false
  const declare = async (on: AmqpChannel) => {
    const state = await topology.declareOwn(on, queue, types)
    // Only at first: who loses the right later still gets what comes.
    if (!isAllowed) await topology.checkDefaultExchange(on)
    isAllowed = true
    return state
  }
  return [{ queue, declare }]
}

async function replay({ subscription, onMessage }: Wanted, running: Running, shared: Shared): Promise<Reader> {
  const { settings, topology, count } = shared
  const { reading } = subscription
  if (settings.replay === false) {
    const text = 'amqp() keeps no results for replays: set its option replay in every process before the first result'
    const help = "which needs RabbitMQ 3.9 or later with streams, or set it to 'queues'"
    throw new GatewayError('ERR_CONFIG', `${text}, ${help}.`)
  }
  const from = reading.kind === 'replay' ? startOf(reading.from) : 'beginning'
  const note = { properties: { deliveryMode: 2 }, body: new Uint8Array(0) }
  const reader: ReplayReader = new ReplayReader({
    ...{ stream: topology.stream, from, onMessage, count },
    isBlocked: () => running.isBlocked,
    clock: settings.clock,
    link: running.reading,
    declare: (on) => topology.declareStream(on),
    mark: (tell) => {
      const key = `${createId(settings.clock.now())}${MARKER}`
      tell(key)
      return running.publisher.publish(note, { exchange: topology.results, key, mandatory: false })
    },
    parse: (message) => (message.fields.routingKey.endsWith(MARKER) ? undefined : parse(message, {}, shared)),
    onClosed: (closed) => running.readers.delete(closed),
  })
  running.readers.add(reader)
  return reader.open().catch((error: unknown) => {
    running.readers.delete(reader)
    throw error
  })
}

/** Reads what a queue keeps for one name. */
async function readKept({ subscription, onMessage }: Wanted, running: Running, shared: Shared): Promise<Reader> {
  const { reading, types } = subscription
  const { topology, settings, count } = shared
  if (reading.kind !== 'replay' || reading.from === 'beginning')
    throw new GatewayError(
      'ERR_CONFIG',
      "With replay: 'queues', amqp() keeps nothing from before a queue was declared.",
    )
  const { from, name } = reading
  if (name === undefined) {
    const text =
      "With replay: 'queues', amqp() keeps events for one reader by its name: a read model with a copy of its own"
    throw new GatewayError('ERR_CONFIG', `${text} needs the options instance and store.`)
  }
  const queue = topology.keptQueue(name)
  const check = (channel: AmqpChannel) => topology.checkKept(channel, queue)
  const look = from === 'now' ? (channel: AmqpChannel) => topology.declareKept(channel, queue) : check
  const prepare = async (channel: AmqpChannel): Promise<string> => {
    // Another may have come since it was waited for.
    if ((await look(channel)).consumerCount > 0) throw notAlone(queue)
    if (from === 'now') return begin({ queue, types, channel }, running, shared)
    await topology.bindKept(channel, queue, types)
    return from.after
  }
  const reader: KeptReader = new KeptReader({
    ...{ queue, onMessage, count, check, prepare, lingersMs: lingersMs(settings), isNew: from === 'now' },
    whenAlone: () => whenAlone(queue, look, { link: running.reading, settings }),
    clock: settings.clock,
    link: running.reading,
    mark: (id) => running.publisher.publish(markerContent(id), { exchange: '', key: queue, mandatory: false }),
    isBlocked: () => running.isBlocked,
    // Without the tag of the delivery, as an event is to have the same id when it comes again.
    parse: (message) => parse({ ...message, fields: { ...message.fields, deliveryTag: 0 } }, {}, shared),
    onClosed: (closed) => running.readers.delete(closed),
  })
  running.readers.add(reader)
  return reader.open().catch((error: unknown) => {
    running.readers.delete(reader)
    throw error
  })
}

/** Empties a queue, and gives the position of what is published from now on. */
async function begin(
  {
    queue,
    types,
    channel,
  }: { readonly queue: string; readonly types: readonly string[]; readonly channel: AmqpChannel },
  { publisher }: Running,
  { topology, settings }: Shared,
): Promise<string> {
  // Not deleted and declared again: RabbitMQ 3.10.8 was once seen to lose the first message of such a queue.
  await channel.purgeQueue(queue)
  // Before it is bound, if it is new: no event of what comes stands before the position.
  const id = markerId(settings.clock)
  await publisher.publish(markerContent(id), { exchange: '', key: queue, mandatory: true })
  await topology.bindKept(channel, queue, types)
  return id
}

/** What a reader knows of its messages. */
interface Expected {
  /** Where the queue has only one type. */
  readonly type?: string | undefined
  readonly awaited?: ReadonlySet<string>
  /** True where an operation ends by what cannot be read, if it is known which. */
  readonly takesUnreadable?: boolean
}

/**
 * The event of a message; where the message does not say its type, the queue or the routing key does. The default
 * exchange has names of queues for routing keys, which say nothing.
 * @throws SyntaxError when the message cannot be read.
 */
export function parse(message: AmqpMessage, expected: Expected, { settings, topology }: Shared): EventMessage {
  const { properties, content: body, fields } = message
  const key = fields.exchange === '' ? '' : topology.typeOf(fields.routingKey)
  const type = expected.type ?? key
  const isAwaited = expected.awaited?.has(type)
  const surroundings = { type, isAwaited, now: settings.clock.now(), tag: fields.deliveryTag }
  const event = settings.binding.read({ properties, body }, surroundings)
  if (event.isUnreadable && (expected.takesUnreadable !== true || event.correlationId === undefined))
    throw new SyntaxError('The body is no CloudEvent.')
  return event
}
