import { kafkaClients } from '../support/kafka-clients.js'
import { describeTransactions } from '../support/kafka-transactions.js'

for (const [name, connect] of Object.entries(kafkaClients)) describeTransactions(name, connect)
