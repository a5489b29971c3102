import type { Transport } from '../../core/transport.js'
import { type KafkaOptions, resolveKafkaOptions } from './options.js'
import { KafkaTransport } from './transport.js'

export type { KafkaBinding } from '../profiles/kafka-wire.js'
export type { KafkaClient } from './client.js'
export { type KafkajsClient, kafkajs } from './kafkajs/index.js'
export type { KafkaOptions } from './options.js'
export { type PlatformaticOptions, platformatic } from './platformatic/index.js'
export type { KafkaTopics } from './topics.js'

/** A transport over topics of Apache Kafka. */
export interface KafkaTransportHandle extends Transport {
  /** How many messages no handler could handle. */
  readonly parked: number
  /** What the broker did not let this user ask. */
  readonly skippedChecks: readonly string[]
}

/**
 * Makes a transport over Kafka: requests on one topic, results on another.
 * @example kafka({ brokers: ['localhost:9092'], topics: { requests: 'users.requests', results: 'users.results' } })
 */
export function kafka(options: KafkaOptions): KafkaTransportHandle {
  return new KafkaTransport(resolveKafkaOptions(options))
}
