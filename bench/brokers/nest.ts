import 'reflect-metadata'
import { Logger } from '@nestjs/common'
import { ClientKafka, ClientRMQ } from '@nestjs/microservices'
import { firstValueFrom } from 'rxjs'
import { namesOf } from './names.js'
import type { Spec, Subject, User } from './spec.js'

/** The clients of NestJS as its documentation shows them; on RabbitMQ with noDelay, which it does not set. */
export async function createNest(spec: Spec): Promise<Subject> {
  Logger.overrideLogger(['error', 'fatal'])
  const { calls } = namesOf(spec.prefix)
  const client = spec.broker === 'rabbitmq' ? createRabbit(spec, calls) : createKafka(spec, calls)
  await client.connect()
  return {
    ask: (user) => firstValueFrom(client.send<User>(calls, user)),
    close: async () => void (await client.close()),
  }
}

function createRabbit({ address }: Spec, queue: string): ClientRMQ {
  return new ClientRMQ({ urls: [address], queue, socketOptions: { connectionOptions: { noDelay: true } } })
}

function createKafka({ address, prefix }: Spec, topic: string): ClientKafka {
  // kafkajs would say at each start that its partitioner is another one than that of its first release.
  process.env.KAFKAJS_NO_PARTITIONER_WARNING = '1'
  const client = new ClientKafka({
    client: { clientId: prefix, brokers: address.split(','), logLevel: 1 },
    consumer: { groupId: prefix },
  })
  client.subscribeToResponseOf(topic)
  return client
}
