/** What a reader tells about itself: that it has caught up, or will not, and that it has ended by itself. */
export class Milestones {
  readonly caughtUp: Promise<void>
  readonly ended: Promise<unknown>
  reach = (): void => {}
  /** It will not catch up any more, if it has not yet. */
  fail = (_error: unknown): void => {}
  #tellEnded = (_reason: unknown): void => {}

  constructor() {
    this.caughtUp = new Promise((resolve, reject) => {
      this.reach = resolve
      this.fail = reject
    })
    // Most users do not wait for it.
    this.caughtUp.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.#tellEnded = resolve
    })
  }

  end(reason: unknown): void {
    this.fail(reason)
    this.#tellEnded(reason)
  }
}
