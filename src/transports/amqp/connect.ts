import { GatewayError } from '../../core/errors.js'
import type { AmqpClient, AmqpConnection } from './client.js'
import { explainConnect, unavailable } from './failures.js'
import type { AmqpSettings } from './options.js'

/** Makes a connection as the options say; its errors name the option, and never show a password. */
export async function connect(settings: AmqpSettings, purpose: string): Promise<AmqpConnection> {
  const { url, connection } = settings
  const place = { address: addressOf(url), option: url === undefined ? 'connection' : 'url' } as const
  try {
    if (url !== undefined) return await open(await clientOf(settings), url, { settings, purpose })
    if (typeof connection === 'function') return await connection()
    if (connection !== undefined) return connection
    throw new GatewayError('ERR_CONFIG', 'amqp() needs a url or a connection.')
  } catch (error) {
    throw explainConnect(error, place)
  }
}

async function open(
  client: AmqpClient,
  url: string,
  { settings, purpose }: { readonly settings: AmqpSettings; readonly purpose: string },
): Promise<AmqpConnection> {
  const { socket = {}, prefix, heartbeatSeconds, connectTimeoutMs, clock } = settings
  const target = new URL(url)
  if (!target.searchParams.has('heartbeat')) target.searchParams.set('heartbeat', String(heartbeatSeconds))
  // amqplib 0.10.0 asks for 4 KiB, and headers have to fit into one frame.
  if (!target.searchParams.has('frameMax')) target.searchParams.set('frameMax', '131072')
  // Without noDelay a request and its answer take 45 ms instead of 0.7 ms: each small frame waits for the acknowledgement
  // of the one before it.
  const clientProperties = { connection_name: `${prefix} ${purpose}` }
  const options = { noDelay: true, timeout: connectTimeoutMs, clientProperties, ...socket }
  const opening = client.connect(target.href, options)
  return new Promise<AmqpConnection>((resolve, reject) => {
    // A server that accepts the connection and then says nothing keeps amqplib waiting for ever.
    const cancel = clock.setTimer(() => {
      reject(unavailable(`There was no answer within ${connectTimeoutMs} ms.`))
      opening.then((late) => late.close()).catch(() => {})
    }, connectTimeoutMs + 100)
    opening.then(resolve, reject).finally(cancel)
  })
}

async function clientOf({ client }: AmqpSettings): Promise<AmqpClient> {
  if (client !== undefined) return client
  try {
    const loaded: unknown = await import('amqplib')
    return (isClient(loaded) ? loaded : (loaded as { default: unknown }).default) as AmqpClient
  } catch (cause) {
    const text = 'The package amqplib is not installed: npm install amqplib. Or give the module as the option client.'
    throw new GatewayError('ERR_CONFIG', text, { cause })
  }
}

function isClient(value: unknown): value is AmqpClient {
  return typeof value === 'object' && value !== null && 'connect' in value && typeof value.connect === 'function'
}

/** Host, port and virtual host, without the credentials. */
function addressOf(url: string | undefined): string {
  if (url === undefined) return 'the given connection'
  const { host, pathname } = new URL(url)
  return pathname.length > 1 ? `${host}${pathname}` : host
}
