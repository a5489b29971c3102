/** The brokers that are measured. */
export type Broker = 'rabbitmq' | 'kafka'

/** Who asks over a broker. */
export type Asker = 'respond-async' | 'hand-written' | 'NestJS' | 'rabbitmq-client'

/** Where operations are kept: nowhere, in the gateway's own memory store, or in a store that is given. */
export type Keeping = 'none' | 'own' | 'memory' | 'redis' | 'postgres'

/** One gateway among those that are measured beside each other. */
export interface Variant {
  readonly asker: Asker
  readonly keeping: Keeping
  /** Operations that are in its store before it is measured. */
  readonly rows?: number
}

/** All that a process needs to become one of them. */
export interface Spec extends Variant {
  readonly broker: Broker
  readonly address: string
  /** Begins the names of everything that it makes, on whichever server. */
  readonly prefix: string
  readonly redis?: string | undefined
  readonly postgres?: string | undefined
}

/** What a worker has to read: events of some prefixes, and calls of others. */
export interface WorkerSpec {
  readonly broker: Broker
  readonly address: string
  readonly prefix: string
  /** Prefixes of those who publish events, and read them. */
  readonly events: readonly string[]
  /** Prefixes of those who call by NestJS, or by rabbitmq-client. */
  readonly nest: readonly string[]
  readonly rpc: readonly string[]
}

/** What clients ask for. */
export interface NewUser {
  readonly username: string
}

/** What the worker makes of it. */
export interface User extends NewUser {
  readonly id: string
}

/** A started gateway. */
export interface Subject {
  /** One round trip; undefined when no answer came in time. */
  ask(user: NewUser): Promise<User | undefined>
  close(): Promise<void>
}

export const REQUESTED = 'CreateUser::Requested'
export const CREATED = 'CreateUser::UserCreated'

/** A request without an answer is given up after this time. */
export const PATIENCE_MS = 5000

/** The name of a variant in tables. */
export function nameOf({ asker, keeping, rows }: Variant): string {
  const where = { none: '', own: ', own memory store', memory: ', memory', redis: ', Redis', postgres: ', Postgres' }
  return `${asker}${where[keeping]}${rows === undefined ? '' : `, ${rows.toLocaleString('en-US')} rows`}`
}
