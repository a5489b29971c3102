import { kafka } from './kafka-program.js'
import type { Kind } from './kinds.js'
import { postgres } from './postgres.js'
import type { Program } from './program.js'
import { rabbitmq } from './rabbitmq.js'
import { redis } from './redis.js'

/** The server programs that can be started without root. */
export const PROGRAMS: Readonly<Record<Kind, Program>> = { amqp: rabbitmq, kafka, redis, postgres }
