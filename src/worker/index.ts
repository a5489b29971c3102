import type { InferEvents, SchemaMap } from '../core/schema.js'
import { resolveSettings } from './settings.js'
import type { Worker, WorkerOptions } from './types.js'
import { EventWorker } from './worker.js'

export type * from './types.js'

/**
 * Makes a worker whose events are described by schemas: requests and results are checked against them.
 * @throws GatewayError ERR_CONFIG
 */
export function createWorker<Schemas extends SchemaMap>(
  options: WorkerOptions & { /** One schema per event type. */ readonly events: Schemas },
): Worker<InferEvents<Schemas>>
/**
 * Makes a worker whose events are described by a type.
 * @throws GatewayError ERR_CONFIG
 * @example
 * const worker = createWorker<Events>({ transport }).handle('CreateUser::Requested', async ({ data }) => {
 *   return { type: 'CreateUser::UserCreated', data: await insert(data) }
 * })
 * await worker.start()
 */
export function createWorker<Events = Record<string, unknown>>(options: WorkerOptions): Worker<Events>
/** Both; the options are checked here. */
export function createWorker(options: WorkerOptions & { readonly events?: SchemaMap }): unknown {
  const worker = new EventWorker(resolveSettings(options))
  return options.onError === undefined ? worker : worker.on('error', options.onError)
}
