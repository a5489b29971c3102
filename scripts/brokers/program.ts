import type { Kind } from './kinds.js'

/** A process to start. */
export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Whom to run as, where the program refuses to run as root. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

/** A server that is ready to be started, again and again, on the same data. */
export interface Prepared {
  readonly kind: Kind
  readonly port: number
  /** The port for a proxy to connect to, where it is another one. */
  readonly behindProxy?: number
  readonly server: Launch
  /** Runs beside the server, and is not touched by its faults. */
  readonly companion?: Launch & { readonly port: number }
  /** Ends the server in good order without waiting for its clients. */
  readonly stopSignal: NodeJS.Signals
  /** How long a start may take. */
  readonly startMs: number
}

/** Where to prepare a server. */
export interface Place {
  /** An empty folder for its data and settings. */
  readonly folder: string
  readonly port: number
  /** The port of a proxy, over which some clients come beside those that come directly. */
  readonly publicPort?: number | undefined
  /** Gives a further free port of this machine. */
  freePort(): Promise<number>
}

/** A server program of this machine. */
export interface Program {
  /** Why it cannot be started here; undefined when it can. */
  missing(): string | undefined
  prepare(place: Place): Promise<Prepared>
}
