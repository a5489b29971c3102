import { Kafka, logLevel } from 'kafkajs'
import { type KafkaClient, kafkajs, platformatic } from '../../src/transports/kafka/index.js'

/** Every client that the Kafka transport is tested with. */
export const kafkaClients: Readonly<Record<string, (brokers: string[]) => KafkaClient>> = {
  '@platformatic/kafka': (brokers) => platformatic({ bootstrapBrokers: brokers }),
  kafkajs: (brokers) => kafkajs(new Kafka({ brokers, logLevel: logLevel.NOTHING })),
}
