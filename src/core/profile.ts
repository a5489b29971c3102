/** The forms of messages that existing workers expect; `native` is this package's own. */
export type ProfileName = 'native' | 'cloudevents' | 'spring' | 'nest'

/**
 * How the request events of a command are written for an existing worker. Plain data: it is stored with the request
 * event, so that whichever instance publishes it again does it in the same way.
 */
export interface Profile {
  readonly name: ProfileName
  /**
   * `reply`: the worker sends its answer to where the request says. `event`: it publishes its answer by itself, and is
   * not told where to, as some workers would then send it there instead of to those who listen for the event.
   */
  readonly answers: 'reply' | 'event'
  /** Spring: the Java class of the body, for workers that choose their method or class by `__TypeId__`. */
  readonly typeId?: string | undefined
  /** Nest: what the worker's `@MessagePattern` or `@EventPattern` names. @default the type of the request event */
  readonly pattern?: string | Readonly<Record<string, unknown>> | undefined
  /** CloudEvents: how long after its time a request event expires; the gateway fills it in. */
  readonly lifetimeMs?: number | undefined
}

/** Which way the answer takes; see `Profile`. @default 'reply' */
type Answers = Partial<Pick<Profile, 'answers'>>

/** For workers that read CloudEvents in binary mode. */
export function cloudEvents(options: Answers = {}): Profile {
  return made('cloudevents', options)
}

/** For workers written with Spring AMQP or Spring Kafka; those with `@SendTo` answer by `'event'`. */
export function spring(options: Answers & Pick<Profile, 'typeId'> = {}): Profile {
  return made('spring', options)
}

/** For workers written with `@nestjs/microservices`; those with `@EventPattern` answer by `'event'`. */
export function nest(options: Answers & Pick<Profile, 'pattern'> = {}): Profile {
  return made('nest', options)
}

/** A profile with the life of an operation, where requests say when that ends. */
export function withLifetime(profile: Profile | undefined, lifetimeMs: number): Profile | undefined {
  return profile?.name === 'cloudevents' ? { ...profile, lifetimeMs } : profile
}

function made(name: ProfileName, options: Partial<Profile>): Profile {
  return { name, answers: 'reply', ...options }
}

/**
 * What an answer says of itself that is no event: it came from a worker that only knows values. `isEmpty`: there is no
 * value in it, as the method returned nothing, or the last value came before it.
 */
export interface ReplyNote {
  readonly isLast: boolean
  readonly isEmpty: boolean
  /** `refused`: with a reason of the worker's own; `exception`: it has failed; `unhandled`: nobody knows the request. */
  readonly failure?: 'refused' | 'exception' | 'unhandled' | undefined
}
