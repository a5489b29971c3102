import { type AmqpOptions, resolveSettings } from './options.js'
import { type AmqpTransport, RabbitTransport } from './transport.js'

export type { AmqpProperties } from '../profiles/amqp-wire.js'
export type {
  AmqpChannel,
  AmqpClient,
  AmqpConfirmChannel,
  AmqpConnection,
  AmqpMessage,
} from './client.js'
export type { AmqpOptions, RequestRoute } from './options.js'
export type { AmqpCounters, AmqpTransport } from './transport.js'

/**
 * Makes a transport over RabbitMQ; nothing is connected before its start.
 * @throws GatewayError ERR_CONFIG that says what was given and what is allowed.
 * @example createGateway({ transport: amqp({ url: 'amqp://localhost' }) })
 */
export function amqp(options: AmqpOptions): AmqpTransport {
  return new RabbitTransport(resolveSettings(options))
}
