import 'reflect-metadata'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { type MicroserviceOptions, Transport } from '@nestjs/microservices'
import { closeEvents, connectEvents } from './events.js'
import { amqpUrl, broker, kafkaBrokers, named, queue } from './settings.js'
import { UsersController } from './users.controller.js'

@Module({ controllers: [UsersController] })
class WorkerModule {}

const options: MicroserviceOptions =
  broker === 'kafka'
    ? {
        transport: Transport.KAFKA,
        options: {
          client: { clientId: 'users', brokers: kafkaBrokers, logLevel: 1 },
          consumer: { groupId: named('workers') },
        },
      }
    : { transport: Transport.RMQ, options: { urls: [amqpUrl], queue, queueOptions: { durable: true } } }

const app = await NestFactory.createMicroservice<MicroserviceOptions>(WorkerModule, { ...options, logger: ['error'] })
await connectEvents()
await app.listen()
console.log(`worker ready on ${broker}`)

process.on('SIGTERM', async () => {
  await app.close()
  await closeEvents()
  process.exit(0)
})
