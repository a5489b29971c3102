import { expect, it } from 'vitest'
import { type KafkaOptions, kafka } from '../../../../src/transports/kafka/index.js'

const brokers = ['localhost:9092']
const topics = { requests: 'requests', results: 'results' }

function make(options: unknown): unknown {
  try {
    return kafka(options as KafkaOptions).name
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_CONFIG' })
    return (error as Error).message
  }
}

it.each([
  [{ topics }, /^brokers is undefined/],
  [{ topics, brokers: 'a:1' }, /^brokers is "a:1"/],
  [{ topics, brokers: [5] }, /^brokers is/],
  [{ topics, brokers: ['kafka://localhost:9092'] }, /^brokers is a list; .*without kafka:\/\//],
  [{ topics, brokers: ['localhost:65536'] }, /^brokers is a list;/],
  [{ topics, client: null }, /^client is null/],
  [{ topics, client: {} }, /^client is an object with nothing in it/],
  [{ topics, brokers, gruopPrefix: 'x' }, /kafka\(\) has no option "gruopPrefix"/],
  [{ topics, brokers, groupPrefix: 5 }, /^groupPrefix is 5/],
  [{ topics, brokers, correlationHeader: '' }, /^correlationHeader is ""; allowed is the name of a header/],
  [{ topics, brokers, clock: {} }, /^clock is/],
  [{ brokers }, /^topics is undefined/],
  [{ brokers, topics: { ...topics, result: 'x' } }, /topics has no option "result"/],
  [{ brokers, topics: { requests: 5, results: 'x' } }, /^topics\.requests is 5/],
  [{ brokers, topics: { requests: 'x', results: () => 'x' } }, /^topics\.results is a function/],
  [{ brokers, topics: { requests: 'x', results: null } }, /^topics\.results is null/],
  [{ brokers, topics: { requests: 'a b', results: 'x' } }, /^topics is "a b"/],
])('kafka(%o) is refused in a sentence that names the option', (options, text) => {
  expect(make(options)).toMatch(text)
})

it.each([
  [{ brokers, topics }],
  [{ brokers, topics, correlationHeader: 'request' }],
  [{ brokers, topics: { requests: () => 'x', results: { A: 'a', B: 'b' }, replyTo: 'a' } }],
])('kafka(%o) is taken', (options) => {
  expect(make(options)).toBe('kafka')
})
