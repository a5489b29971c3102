import type { Requirement } from './requirements.js'

const HEADERS = 'test/unit/transports/event-headers.test.ts'
const TRACE = 'test/unit/core/trace.test.ts'
const PROFILES = 'test/property/transports/profiles.test.ts'
const RESULTS = 'test/unit/core/results.test.ts'
const PUBLISHER = 'test/unit/transports/amqp/publisher.test.ts'

const NO_SPANS = 'no spans are made: the headers of the trace are there for the instrumentation of others'
const NO_HTTP_EVENTS = 'no events go over HTTP: there is no such transport'
const NO_WEBHOOKS = 'there are no webhooks yet'

/** Every requirement of the parts M, N, P and Q, which workers see, by its id. */
export const EVENT_REQUIREMENTS: Readonly<Record<string, Requirement>> = {
  // M. Trace context.
  M01: { summary: 'the form of traceparent; what is none is ignored', test: TRACE },
  M02: { summary: 'upper-case hexadecimal digits are invalid', test: TRACE },
  M03: { summary: 'of a later version the beginning is read, and 00 is written', test: TRACE },
  M04: { summary: 'an invalid traceparent drops tracestate; not the other way round', test: TRACE },
  M05: { summary: 'up to 32 members of tracestate, also empty ones', test: TRACE },
  M06: { summary: 'a trace that comes goes on, with a parent id of its own', test: TRACE },
  M07: { summary: 'without one a new trace begins', test: TRACE },
  M08: { summary: 'events have the trace in lower-case headers', test: HEADERS },
  M09: { summary: 'unknown flags are zero, the random flag is kept', test: TRACE },
  M10: { summary: 'the attribute of a CloudEvent is the same trace', test: HEADERS },
  M11: { summary: 'spans of messaging', notOurs: NO_SPANS },
  M12: { summary: 'their attributes', notOurs: NO_SPANS },
  M13: { summary: 'their destinations', notOurs: NO_SPANS },
  M14: { summary: 'their links', notOurs: NO_SPANS },
  M15: { summary: 'the API of OpenTelemetry is optional', notOurs: NO_SPANS },
  M16: { summary: 'the status of the server span', notOurs: NO_SPANS },
  M17: {
    summary: 'traces of strangers may be cut at the edge',
    notOurs: 'a permission that is not used: whoever stands at the edge drops the headers there',
  },

  // N. CloudEvents 1.0.
  N01: { summary: 'the four required attributes', test: HEADERS },
  N02: { summary: 'names are lower-case letters and digits', test: HEADERS },
  N03: { summary: 'correlationid ties an event to its request, else causationid', test: HEADERS },
  N04: { summary: 'expirytime is the deadline', test: 'test/contract/event-gaps.test.ts' },
  N05: { summary: 'the content type tells the structured mode', test: HEADERS },
  N06: { summary: 'the binary mode of Kafka', test: 'test/property/kafka-binding.test.ts' },
  N07: { summary: 'no event is a tombstone', test: HEADERS },
  N08: { summary: 'the structured mode of Kafka, whatever headers repeat', test: HEADERS },
  N09: { summary: 'the key of a record leaves the event as it is', test: HEADERS },
  N10: { summary: 'no batches', test: HEADERS },
  N11: { summary: 'the prefix over HTTP', notOurs: NO_HTTP_EVENTS },
  N12: { summary: 'headers are percent-encoded over HTTP', notOurs: NO_HTTP_EVENTS },
  N13: { summary: 'and decoded', notOurs: NO_HTTP_EVENTS },
  N14: { summary: 'the structured mode of HTTP', notOurs: NO_HTTP_EVENTS },
  N15: { summary: 'no batches over HTTP', notOurs: NO_HTTP_EVENTS },
  N16: { summary: 'the two prefixes over AMQP', test: PROFILES },
  N17: { summary: 'the structured mode of AMQP', test: PROFILES },
  N18: { summary: 'events of 64 KiB pass', test: 'test/contract/event-gaps.test.ts' },
  N19: { summary: 'time is RFC 3339, bytes are data_base64', test: HEADERS },
  N20: { summary: 'without all four attributes it is a plain message', test: HEADERS },
  N21: { summary: 'workers that answer in an HTTP response', notOurs: NO_HTTP_EVENTS },
  N22: { summary: 'a delivery is a POST over HTTPS', notOurs: NO_WEBHOOKS },
  N23: { summary: 'what its answers mean', notOurs: NO_WEBHOOKS },
  N24: { summary: 'its authorization', notOurs: NO_WEBHOOKS },
  N25: { summary: 'a handshake comes before it', notOurs: NO_WEBHOOKS },
  N26: { summary: 'consent is explicit', notOurs: NO_WEBHOOKS },
  N27: { summary: 'deliveries name their origin', notOurs: NO_WEBHOOKS },
  N28: { summary: 'the granted rate', notOurs: NO_WEBHOOKS },
  N29: { summary: 'the handshake is optional', notOurs: NO_WEBHOOKS },

  // P. Requests and replies over RabbitMQ.
  P01: { summary: 'direct replies are read before anything is published, on the same channel', test: PUBLISHER },
  P02: { summary: 'a worker answers where reply_to says', test: 'test/integration/amqp/plain-worker.test.ts' },
  P03: { summary: 'direct replies are worth less', test: 'test/integration/amqp/plain-worker.test.ts' },
  P04: { summary: 'message_id and correlation_id are both set', test: 'test/unit/transports/amqp/binding.test.ts' },
  P05: { summary: 'short strings are short', test: 'test/property/transports/amqp-binding.test.ts' },
  P06: { summary: 'an expiration is text', test: PUBLISHER },
  P07: { summary: 'no request expires by itself', test: HEADERS },
  P08: { summary: 'what cannot be routed is a 503 at once', test: 'test/integration/amqp/faults.test.ts' },
  P09: {
    summary: 'nobody is told that a requester is gone',
    notOurs: 'a fact about the broker; P03 says what follows from it',
  },
  P10: { summary: 'an unknown id is counted and dropped', test: RESULTS },
  P11: { summary: 'the other basic properties', test: 'test/unit/transports/amqp/binding.test.ts' },
  P12: { summary: 'where the id of an event may be, one header by configuration', test: HEADERS },
  P13: { summary: 'the envelope of Nest', test: PROFILES },
  P14: { summary: 'Spring AMQP, its exceptions and silence', test: 'test/integration/interop/spring-rabbitmq.test.ts' },
  P15: { summary: 'waits for direct replies end with their channel', test: 'test/integration/amqp/faults.test.ts' },
  P16: { summary: 'a result is acknowledged once the store has it', test: RESULTS },

  // Q. Requests and replies over Kafka.
  Q01: { summary: 'the headers of Spring, without a partition', test: PROFILES },
  Q02: {
    summary: 'ids of a Spring requester are echoed byte for byte',
    notOurs: 'a worker of ours answers gateways of ours; nothing here answers a ReplyingKafkaTemplate',
  },
  Q03: { summary: 'a Spring worker answers, and is never told a partition', test: PROFILES },
  Q04: { summary: 'the headers of Nest', test: 'test/integration/interop/nest-kafka.test.ts' },
  Q05: { summary: 'ids are text that Nest leaves as it is', test: PROFILES },
  Q06: { summary: 'ids are ASCII, and are understood as bytes and as text', test: RESULTS },
  Q07: { summary: 'answers of Zilla are read', test: PROFILES },
  Q08: { summary: 'ids and locations of Zilla', notOurs: 'a fact about Zilla, whose gateway does not stand here' },
  Q09: { summary: 'how Zilla reads Prefer', notOurs: 'a fact about Zilla; B03 reads both preferences of one header' },
  Q10: { summary: 'answers of SmallRye are read', test: PROFILES },
  Q11: { summary: 'answers of all profiles are read, whatever was asked', test: PROFILES },
  Q12: { summary: 'topics are checked first, and no partition is named', test: 'test/integration/kafka/start.test.ts' },
  Q13: { summary: 'an event of its own belongs to a request by a header', test: 'test/integration/interop/nest-kafka' },
  Q14: { summary: 'a Java class is named only where the command does', test: HEADERS },
  Q15: { summary: 'of headers with one name the last counts', test: 'test/property/kafka-binding.test.ts' },
  Q16: { summary: 'records have keys, and the first result stands', test: RESULTS },
}
