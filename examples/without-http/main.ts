import { createGateway, memoryTransport } from 'respond-async'
import { createWorker } from 'respond-async/worker'

interface Events {
  'CloseDay::Requested': { day: string }
  'CloseDay::DayClosed': { day: string; orders: number }
  'CloseDay::DayNotClosed': { day: string; reason: string }
}

const transport = memoryTransport()
const worker = createWorker<Events>({ transport }).handle('CloseDay::Requested', ({ data: { day } }) => {
  const isOver = day < new Date().toISOString().slice(0, 10)
  if (!isOver) return { type: 'CloseDay::DayNotClosed', data: { day, reason: 'The day is not over.' } }
  return { type: 'CloseDay::DayClosed', data: { day, orders: 42 } }
})
await worker.start()

const gateway = createGateway<Events>({ transport })
const closeDay = gateway.command({
  publish: 'CloseDay::Requested',
  outcomes: { 'CloseDay::DayClosed': 'succeeded', 'CloseDay::DayNotClosed': 'failed' },
})
await gateway.start()

/** One run of the job. A crashed job can run again: the key ties both runs to one operation. */
async function run(day: string): Promise<void> {
  const reply = await closeDay.request({ day }, { waitMs: 30_000, idempotencyKey: `close ${day}` })
  switch (reply.kind) {
    case 'completed': {
      const { event, replayed = false } = reply
      if (event.type === 'CloseDay::DayClosed')
        console.log(`${day}: ${event.data.orders} orders, replayed: ${replayed}`)
      else console.log(`${day}: not closed, ${event.data.reason}`)
      return
    }
    case 'accepted':
      console.log(`${day}: goes on as operation ${reply.operation.id}`)
      return
    case 'ended':
      console.log(`${day}: ${reply.operation.state}, ${reply.operation.error?.message}`)
  }
}

const job = () => {
  const dayBefore = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10)
  Promise.all([run(dayBefore(1)), run(dayBefore(0))]).catch((error) => console.error(error))
}
job()
const timer = setInterval(job, Number(process.env.EVERY_MS ?? 3_600_000))

process.on('SIGTERM', async () => {
  clearInterval(timer)
  await gateway.close()
  await worker.close()
})
