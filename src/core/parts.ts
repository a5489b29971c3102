import { Breaker } from './breaker.js'
import { Deadlines } from './deadlines.js'
import type { CommandPlan } from './definition.js'
import type { Event } from './event.js'
import { guardStore } from './guarded-store.js'
import { Lifecycle } from './lifecycle.js'
import { Load } from './load.js'
import { OpenOperations } from './open-operations.js'
import { type Ending, isEnded, type Operation, type Settled } from './operation.js'
import type { CoreOptions, CoreSettings } from './options.js'
import { PendingRequests } from './pending-requests.js'
import { Running } from './running.js'
import type { Store } from './store.js'
import { createTransientStore } from './transient-store.js'
import type { Transport } from './transport.js'

/** What all the workings of one gateway share. */
export interface GatewayParts {
  readonly settings: CoreSettings
  readonly lifecycle: Lifecycle
  readonly deadlines: Deadlines
  readonly pending: PendingRequests
  readonly open: OpenOperations
  readonly commands: Map<string, CommandPlan>
  readonly transport: Transport
  readonly transportBreaker: Breaker
  /** A given one is behind time-out and breaker, for everything but starting, watching and closing it. */
  readonly store: Store
  /** The store as it was given. */
  readonly bareStore: Store
  readonly storeBreaker: Breaker
  /** `none`: operations live as long as somebody waits; `own`: as long as the gateway; `given`: as the user decides. */
  readonly storeKind: 'none' | 'own' | 'given'
  /**
   * Ends an operation by the store's compare-and-set, and tells everybody who waits here what it decided. `event` is a
   * view of the result that nobody else has.
   */
  settle(id: string, ending: Ending, event?: Event): Promise<Settled | undefined>
  /** Tells everybody who waits here how an operation stands. */
  see(operation: Operation): void
  /** Called when a request no longer needs its operation. */
  release(id: string): void
  readonly load: Load
}

const BREAKER_CODES = {
  store: { unavailable: 'ERR_STORE_UNAVAILABLE', uncertain: 'ERR_STORE_UNAVAILABLE' },
  transport: { unavailable: 'ERR_TRANSPORT_UNAVAILABLE', uncertain: 'ERR_PUBLISH_UNCONFIRMED' },
} as const

/** Makes the parts of a gateway; nothing is connected yet. */
export function createParts(
  options: CoreOptions,
  settings: CoreSettings,
  defaultStore: (settings: CoreSettings) => Store,
): GatewayParts {
  const lifecycle = new Lifecycle()
  const deadlines = new Deadlines(settings.clock)
  const running = new Running()
  const pending = new PendingRequests(deadlines, settings, running)
  const open = new OpenOperations(settings, running)
  const makeBreaker = (part: 'store' | 'transport', timeoutMs: number) =>
    new Breaker({
      ...BREAKER_CODES[part],
      clock: settings.clock,
      deadlines,
      timeoutMs,
      onChange: announce(lifecycle, part),
    })
  const storeBreaker = makeBreaker('store', settings.storeTimeoutMs)
  const transportBreaker = makeBreaker('transport', settings.publishTimeoutMs)
  const stores = chooseStore(options, { settings, open, running }, defaultStore)
  // A store that the gateway made itself answers at once, and cannot be out of reach.
  const store = stores.storeKind === 'given' ? guardStore(stores.bareStore, storeBreaker) : stores.bareStore
  const see = (operation: Operation, event?: Event) => {
    if (isEnded(operation)) open.close(operation.id)
    pending.wake(operation, event)
  }
  const tell = (settled: Settled, event?: Event) => {
    const { verdict, operation } = settled
    if (verdict === 'won') lifecycle.note('completed', { operation })
    see(operation, verdict === 'won' ? event : undefined)
    return settled
  }
  const settle = (id: string, ending: Ending, event?: Event) =>
    store.complete(id, ending).then((settled) => settled && tell(settled, event))
  const { transport } = options
  const commands = new Map<string, CommandPlan>()
  const state = { settings, lifecycle, deadlines, pending, open, commands }
  const load = new Load(settings.clock)
  return { ...state, ...stores, transport, transportBreaker, store, storeBreaker, settle, see, load }
}

function chooseStore(
  { store }: CoreOptions,
  { settings, open, running }: Pick<GatewayParts, 'settings' | 'open'> & { readonly running: Running },
  defaultStore: (settings: CoreSettings) => Store,
): Pick<GatewayParts, 'bareStore' | 'storeKind' | 'release'> {
  if (store === 'none') {
    const transient = createTransientStore(() => settings.clock.now(), running)
    const release = (id: string) => {
      transient.forget(id)
      // Nobody here will hear of its end.
      open.close(id)
    }
    return { bareStore: transient, storeKind: 'none', release }
  }
  const release = () => {}
  if (store !== undefined) return { bareStore: store, storeKind: 'given', release }
  return { bareStore: defaultStore(settings), storeKind: 'own', release }
}

function announce(lifecycle: Lifecycle, part: 'store' | 'transport') {
  return (isOpen: boolean, cause?: unknown) => {
    if (isOpen) lifecycle.note('unavailable', { part, cause })
    else lifecycle.note('available', { part })
  }
}
