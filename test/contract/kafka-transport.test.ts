import { kafkaClients } from '../support/kafka-clients.js'
import { describeKafka } from '../support/kafka-contract.js'

for (const [name, connect] of Object.entries(kafkaClients)) describeKafka(name, connect)
