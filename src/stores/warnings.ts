/** Tells of trouble in the background, which has no caller to be thrown to: as a warning of the process, once a kind. */
export class Warnings {
  readonly #told = new Set<string>()

  /** The cause is left out where there is none. */
  tell(text: string, cause?: unknown): void {
    if (this.#told.has(text)) return
    this.#told.add(text)
    const detail = cause === undefined ? {} : { detail: cause instanceof Error ? cause.message : String(cause) }
    process.emitWarning(text, { type: 'RespondAsyncWarning', ...detail })
  }
}
