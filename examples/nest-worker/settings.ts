/** Where the worker finds its broker: RabbitMQ or Kafka. */
export const broker = process.env.BROKER === 'kafka' ? 'kafka' : 'rabbitmq'
export const amqpUrl = process.env.AMQP_URL ?? 'amqp://127.0.0.1:5672'
export const kafkaBrokers = (process.env.KAFKA_BROKERS ?? '127.0.0.1:9092').split(',')

const prefix = process.env.PREFIX ?? 'users'

/** A pattern, which is a topic on Kafka: the prefix keeps several installations apart. */
export const named = (name: string): string => `${prefix}.${name}`
export const queue = named('requests')
/** The topic exchange to which events go on RabbitMQ. */
export const exchange = named('events')
