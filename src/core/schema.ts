import { GatewayError, type Issue } from './errors.js'

/** Standard Schema 1.x, the interface that zod, valibot, arktype and others implement; declared here to depend on none. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One broken rule in the form of Standard Schema. */
export interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** One schema per event type. */
export type SchemaMap = Readonly<Record<string, StandardSchema>>

/** The event map that a map of schemas describes. */
export type InferEvents<Schemas extends SchemaMap> = {
  [Type in keyof Schemas]: Schemas[Type] extends StandardSchema<unknown, infer Output> ? Output : never
}

/**
 * Checks data against a schema, where there is one, and gives what the schema makes of them.
 * @throws GatewayError ERR_INVALID_INPUT with the issues.
 */
export function validateData(schema: StandardSchema | undefined, data: unknown): unknown {
  if (schema === undefined) return data
  const result = schema['~standard'].validate(data)
  // A thenable of another library is a promise too.
  return 'then' in result ? Promise.resolve(result).then(checkedValue) : checkedValue(result)
}

function checkedValue(result: SchemaResult<unknown>): unknown {
  if (result.issues === undefined) return result.value
  const issues = result.issues.map(toIssue)
  const text = issues.map(({ message, path }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
  throw new GatewayError('ERR_INVALID_INPUT', text.join('; '), { issues })
}

function toIssue({ message, path = [] }: SchemaIssue): Issue {
  const keys = path.map((part) => (typeof part === 'object' ? part.key : part))
  return { message, path: keys.map((key) => (typeof key === 'number' ? key : String(key))) }
}
