import type { OnGone } from '../core/pending-request.js'

/** Header values by lower-case name; several lines of one header are a list. */
export type HeaderValues = Readonly<Record<string, string | readonly string[] | undefined>>

/** A request as plain data: all that the HTTP layer knows of a framework's request. */
export interface HttpRequest {
  readonly method: string
  /** Path and query as the client sent them, whatever prefix a framework has cut off. */
  readonly url: string
  /** Parameters of the route's path. */
  readonly params: Readonly<Record<string, string>>
  readonly headers: HeaderValues
  /** What a body parser made of the body; undefined when none ran, or there is no body. */
  readonly body?: unknown
  /**
   * Reads a body that no parser has taken, up to `limit` bytes.
   * Rejects with GatewayError ERR_BODY_TOO_LARGE beyond that.
   */
  readonly readBody?: ((limit: number) => Promise<Uint8Array>) | undefined
  /** Tells when the client has gone before its answer was written. */
  readonly onGone?: OnGone | undefined
  /** The framework's own request, for hooks that need what another middleware left there. */
  readonly raw?: unknown
}

/** An answer as plain data. */
export interface HttpReply {
  readonly status: number
  /** By lower-case name, in an object made for this answer alone: outer layers add to it. */
  readonly headers: Record<string, string>
  readonly body?: string | Uint8Array | undefined
  /** Server-sent events, written as they come; there is no `body` then. */
  readonly stream?: AsyncIterable<string> | undefined
  /** True while shutting down: on HTTP/1.1 the adapter adds `Connection: close`. */
  readonly closeConnection?: boolean | undefined
}

/** Something that answers reads, as adapters take it. */
export interface ReadSource<Options> {
  answer(request: HttpRequest, options: Options): Promise<HttpReply>
}
