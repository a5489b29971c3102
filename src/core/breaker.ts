import type { Clock } from './clock.js'
import { Deadline, type Deadlines } from './deadlines.js'
import { ERRORS, type ErrorCode, GatewayError, isGatewayError } from './errors.js'

/** How a breaker watches one dependency. */
export interface BreakerOptions {
  readonly clock: Clock
  readonly deadlines: Deadlines
  /** Reported while the breaker is open. */
  readonly unavailable: 'ERR_STORE_UNAVAILABLE' | 'ERR_TRANSPORT_UNAVAILABLE'
  /** Reported when nobody can say what became of a call. */
  readonly uncertain: ErrorCode
  readonly timeoutMs: number
  readonly onChange: (isOpen: boolean, cause?: unknown) => void
}

/** Who is told what became of a call, once. */
export interface Caller<T> {
  succeed(value: T): void
  fail(error: unknown): void
}

const FAILURES_TO_OPEN = 5
const PROBE_EVERY_MS = 1000

/** Failures that say something about the dependency; the others are its orderly answers. */
const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_STORE_UNAVAILABLE',
  'ERR_TRANSPORT_UNAVAILABLE',
  'ERR_PUBLISH_UNCONFIRMED',
  'ERR_INTERNAL',
])

/**
 * Bounds every call to a store or transport in time, and stops calling after five failures in a row, so that requests
 * are refused at once instead of each waiting for its time-out. Whoever probes it regularly spends no request on finding
 * out whether it is back; for others one call a second is let through. A probe that is refused opens at once, and then
 * only a probe closes. What has reported its own loss is back when it says so, or when a probe of all its parts
 * succeeds: a broker may take messages while nobody reads the results.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #failures = 0
  #down = false
  /** Grows with every report of a loss: what was asked before it says nothing about the time after it. */
  #losses = 0
  /** Grows with every report, of a loss or a return: an older question is answered by it. */
  #reports = 0
  #lastProbe = 0

  constructor(options: BreakerOptions) {
    this.#options = options
  }

  /** True while calls are refused. */
  get isOpen(): boolean {
    return this.#down || this.#failures >= FAILURES_TO_OPEN
  }

  /**
   * Whether a call may be made now where nobody probes: always while closed, once a second after failures, never after a
   * reported loss.
   */
  admits(): boolean {
    if (!this.isOpen) return true
    if (this.#down) return false
    const now = this.#options.clock.monotonic()
    if (now - this.#lastProbe < PROBE_EVERY_MS) return false
    this.#lastProbe = now
    return true
  }

  /** The error of a refused call. */
  refusal(): GatewayError {
    const { unavailable } = this.#options
    return new GatewayError(unavailable, 'The connection is down; it is tried again every second.', {
      outcome: 'not-accepted',
    })
  }

  /**
   * Makes a call.
   * @throws GatewayError `uncertain` when it takes too long, or fails with an error that is not ours: its outcome is then
   * unknown. Else what the call throws.
   */
  run<T>(call: () => Promise<T>): Promise<T> {
    return new Promise((succeed, fail) => this.watch(call, { succeed, fail }))
  }

  /**
   * Makes a call that asks the dependency whether all of it works, whatever has been reported. Its success closes. When
   * it says for certain that it is away, that opens at once, like a reported loss; a time-out is one failure.
   * @throws GatewayError as `run` does.
   */
  async probe(call: () => Promise<void>): Promise<void> {
    const [losses, reports] = [this.#losses, this.#reports]
    try {
      await this.run(call)
    } catch (error) {
      if (reports === this.#reports && this.#isCertain(error)) this.report(true, error)
      throw error
    }
    if (losses === this.#losses) this.#recover()
  }

  /** The same for a caller that is told by methods, which spares a promise for each of very many calls. */
  watch<T>(call: () => Promise<T>, caller: Caller<T>): void {
    const guarded = new GuardedCall(this, { caller, losses: this.#losses })
    this.#options.deadlines.arm(guarded, this.#options.timeoutMs)
    // A call that throws instead of rejecting is treated alike.
    try {
      call().then(
        (value) => guarded.succeed(value),
        (cause: unknown) => guarded.fail(cause),
      )
    } catch (error) {
      guarded.fail(error)
    }
  }

  /** A call that was made after so many losses came to a good end. */
  succeeded(call: Deadline, losses: number): void {
    this.#options.deadlines.cancel(call)
    if (losses === this.#losses && this.#failures > 0 && !this.#down) this.#recover()
  }

  /** A call failed, or took too long where no cause is given. Gives the error that its caller gets. */
  failed(call: Deadline, cause?: unknown): GatewayError {
    const { deadlines, uncertain, timeoutMs } = this.#options
    deadlines.cancel(call)
    const text = cause === undefined ? `There was no answer within ${timeoutMs} ms.` : ERRORS[uncertain].title
    const error = isGatewayError(cause) ? cause : new GatewayError(uncertain, text, { cause, outcome: 'unknown' })
    if (FAILURES.has(error.code)) this.#fail(error)
    return error
  }

  /** The dependency says by itself that it is gone, or back. */
  report(isDown: boolean, cause?: unknown): void {
    this.#reports += 1
    if (isDown) this.#losses += 1
    if (!isDown) this.#recover()
    else if (!this.isOpen) {
      this.#down = true
      this.#opened(cause)
    }
  }

  /** Of what took too long, or failed with an error that is not ours, nobody knows what became. */
  #isCertain(error: unknown): boolean {
    return isGatewayError(error) && error.code === this.#options.unavailable && error.details['outcome'] !== 'unknown'
  }

  #fail(error: unknown): void {
    const wasOpen = this.isOpen
    this.#failures += 1
    if (!wasOpen && this.isOpen) this.#opened(error)
  }

  #opened(cause: unknown): void {
    this.#lastProbe = this.#options.clock.monotonic()
    this.#options.onChange(true, cause)
  }

  #recover(): void {
    const wasOpen = this.isOpen
    this.#failures = 0
    this.#down = false
    if (wasOpen) this.#options.onChange(false)
  }
}

/** A call under way, which is its own deadline: several are made for every request. */
class GuardedCall<T> extends Deadline {
  readonly #breaker: Breaker
  readonly #losses: number
  /** Until it has been told: what comes after that, when time was up, changes nothing. */
  #caller: Caller<T> | undefined

  constructor(breaker: Breaker, { caller, losses }: { readonly caller: Caller<T>; readonly losses: number }) {
    super()
    this.#breaker = breaker
    this.#caller = caller
    this.#losses = losses
  }

  succeed(value: T): void {
    const caller = this.#take()
    if (caller === undefined) return
    this.#breaker.succeeded(this, this.#losses)
    caller.succeed(value)
  }

  fail(cause: unknown): void {
    const known = cause ?? new Error('The call failed without saying why.')
    const caller = this.#take()
    caller?.fail(this.#breaker.failed(this, known))
  }

  override onDue(): void {
    const caller = this.#take()
    caller?.fail(this.#breaker.failed(this))
  }

  #take(): Caller<T> | undefined {
    const caller = this.#caller
    this.#caller = undefined
    return caller
  }
}
