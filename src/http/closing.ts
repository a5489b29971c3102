import type { GatewayContext } from '../core/command.js'
import type { HttpReply } from './types.js'

/** While it shuts down, no connection of a gateway is to be used for another request. */
export function closing(gateway: GatewayContext, reply: HttpReply): HttpReply {
  return gateway.isClosing ? { ...reply, closeConnection: true } : reply
}
