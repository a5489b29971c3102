import {
  type ClientProxy,
  ClientProxyFactory,
  type KafkaContext,
  type RmqContext,
  RmqRecordBuilder,
  Transport,
} from '@nestjs/microservices'
import { lastValueFrom } from 'rxjs'
import { amqpUrl, broker, exchange, kafkaBrokers } from './settings.js'

/** What a handler is told about its message. */
export type Context = RmqContext | KafkaContext

const client: Pick<ClientProxy, 'emit' | 'connect' | 'close'> =
  broker === 'kafka'
    ? ClientProxyFactory.create({
        transport: Transport.KAFKA,
        options: { client: { clientId: 'users', brokers: kafkaBrokers, logLevel: 1 }, producerOnlyMode: true },
      })
    : ClientProxyFactory.create({
        transport: Transport.RMQ,
        options: { urls: [amqpUrl], exchange, exchangeType: 'topic', wildcards: true },
      })

/** Publishes an event by itself, with the one header copied that tells which request it belongs to. */
export async function publish(type: string, data: object, context: Context): Promise<void> {
  const headers = { 'x-correlation-id': correlationIdOf(context) }
  const record =
    broker === 'kafka'
      ? { key: headers['x-correlation-id'], value: data, headers }
      : new RmqRecordBuilder(data).setOptions({ headers }).build()
  await lastValueFrom(client.emit(type, record), { defaultValue: undefined })
}

function correlationIdOf(context: Context): string {
  const message = context.getMessage()
  return String('properties' in message ? message.properties.correlationId : message.headers?.kafka_correlationId)
}

export const connectEvents = (): Promise<unknown> => client.connect()
export const closeEvents = (): unknown => client.close()
